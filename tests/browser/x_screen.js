// An X display without a monitor (Xvfb), and on it a window in which something moves.
import { execFile, spawn } from 'node:child_process';
import { until } from './hub.js';

// { display, close() }
export async function openMovingScreen({ size = '640x480', window = '320x240', rate = 10 } = {}) {
  // Without -noreset it begins anew when a client leaves and is the last one, and takes nobody meanwhile.
  const server = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', `${size}x24`, '-nolisten', 'tcp', '-noreset'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const ends = [new Promise(resolve => server.on('exit', resolve))];
  let number = '', film = null, said = '';
  server.stdio[3].setEncoding('utf8').on('data', text => { number += text; });
  server.on('error', error => { said = String(error); });
  const close = async () => {
    film?.kill('SIGKILL');
    server.kill();
    await Promise.all(ends);
  };
  try {
    await until('a display', () => {
      if (said || server.exitCode !== null)
        throw new Error(`Xvfb: ${said || server.exitCode}`);
      return number.endsWith('\n');
    });
    const display = `:${number.trim()}`, env = { ...process.env, DISPLAY: display, SDL_VIDEODRIVER: 'x11' };
    film = spawn(process.env.FFMPEG_BIN || 'ffmpeg', ['-nostdin', '-v', 'error', '-re', '-f', 'lavfi',
      '-i', `testsrc2=size=${window}:rate=${rate}`, '-pix_fmt', 'yuv420p', '-f', 'sdl2', 'moving'],
    { env, stdio: ['ignore', 'ignore', 'pipe'] });
    film.stderr.setEncoding('utf8').on('data', text => { said += text; });
    ends.push(new Promise(resolve => film.on('exit', resolve)));
    await until('the window', () => {
      if (film.exitCode !== null)
        throw new Error(`ffmpeg shows nothing: ${said}`);
      return new Promise(resolve => execFile('xwininfo', ['-name', 'moving'], { env }, error => resolve(!error)));
    });
    return { display, close };
  } catch (error) {
    await close();
    throw error;
  }
}
