// A peer for the fan-out benchmark: Node.js and the `ws` package with its own defaults, and no more than the task asks
// for. What the camera sends at /android-cam/NAME goes, without its 16 bytes of header and behind a fragment header's
// worth of bytes, to every viewer at /live/NAME: one send per frame and viewer.
import http from 'node:http';
import { WebSocketServer } from 'ws';

const CAMERA_HEADER_BYTES = 16;
const FRAGMENT_HEAD_BYTES = 112;

const viewers = new Set();
let sends = 0;

// As the floor does: zeros but for the size and type of the last box.
function fragment(sample) {
    const head = Buffer.alloc(FRAGMENT_HEAD_BYTES);
    head.writeUInt32BE(8 + sample.length, FRAGMENT_HEAD_BYTES - 8);
    head.write('mdat', FRAGMENT_HEAD_BYTES - 4, 'latin1');
    return Buffer.concat([head, sample]);
}

function broadcast(message) {
    const data = fragment(message.subarray(CAMERA_HEADER_BYTES));
    for (const viewer of viewers) {
        viewer.send(data);
        sends++;
    }
}

// Parameter sets come in a message of their own, which a real relay would keep for later viewers.
function isPicture(message) {
    return message.length > 100;
}

const server = http.createServer((_, response) => response.writeHead(404).end());
new WebSocketServer({ server }).on('connection', (socket, request) => {
    if (request.url.startsWith('/live/')) {
        viewers.add(socket);
        socket.on('close', () => viewers.delete(socket));
        return;
    }
    socket.on('message', (message, isBinary) => {
        if (isBinary && isPicture(message)) {
            broadcast(message);
        }
    });
});

process.on('SIGTERM', () => {
    console.log(JSON.stringify({ sends }));
    process.exit(0);
});

server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
    console.error(`ws: listening on 127.0.0.1:${server.address().port}`);
});
