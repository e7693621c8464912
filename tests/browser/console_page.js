// A browser with the console page open, for tests: at the size of a desk and of a phone, with the hub's own
// Content-Security-Policy in force. What the page complains about ends the test.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

export const DEVICES = {
  desk: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 360, height: 740 }, hasTouch: true },
};

// The sizes at which a test runs: by turns one of them, or each (`./dev test long`).
let turn = 0;
export function sizesFor(devices = Object.keys(DEVICES)) {
  return process.env.CAMHUB_TEST_LONG ? devices : [devices[turn++ % devices.length]];
}

export function openBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'] });
}

export class Console {
  // `device` of DEVICES; options as for a browser context, and: script, run before the page's own.
  static async open(browser, hub, device = 'desk', { hash = '', script, ...options } = {}) {
    const console = new Console();
    console.hub = hub;
    console.complaints = [];
    console.context = await browser.newContext({ locale: 'en-GB', colorScheme: 'dark', timezoneId: 'UTC',
      ...DEVICES[device], ...options });
    console.page = await console.context.newPage();
    console.page.setDefaultTimeout(15000);
    console.page.on('pageerror', error => console.complaints.push(String(error.stack)));
    console.page.on('console', message => {
      if (message.type() === 'error' && /Content Security Policy|Uncaught/.test(message.text()))
        console.complaints.push(message.text());
    });
    if (script)
      await console.page.addInitScript(script);
    await console.page.goto(`${hub.url}/${hash}`);
    return console;
  }

  async close() {
    await this.context.close();
    assert.deepEqual(this.complaints, []);
  }

  // Waits until the words stand there.
  see(selector, words) {
    return this.page.locator(selector).filter({ hasText: words }).first().waitFor();
  }

  gone(selector) {
    return this.page.locator(selector).first().waitFor({ state: 'hidden' });
  }

  text(selector) {
    return this.page.locator(selector).first().innerText();
  }

  texts(selector) {
    return this.page.locator(selector).allInnerTexts();
  }

  tile(name) {
    return this.page.locator(`.tile[data-name="${name}"]`);
  }

  // True when the picture of a camera is live and not black.
  async waitLive(name) {
    await this.page.waitForFunction(name => {
      const picture = document.querySelector(`${name ? `.tile[data-name="${name}"] ` : ''}.picture`),
        media = picture?.querySelector('.media');
      if (picture?.dataset.live !== 'true' || !(media.videoWidth || media.width))
        return false;
      const canvas = Object.assign(document.createElement('canvas'), { width: 16, height: 16 }),
        context = canvas.getContext('2d');
      context.drawImage(media, 0, 0, 16, 16);
      return context.getImageData(0, 0, 16, 16).data.some((value, n) => n % 4 !== 3 && value > 60);
    }, name);
  }
}
