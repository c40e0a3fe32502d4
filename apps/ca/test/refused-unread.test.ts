// What is refused before it was read: the caller sees why, however much it is still sending, and is not read for ever.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIssuingCa, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
});
afterAll(() => issuingCa.close());

type Listener = 'api' | 'http';

function dial(listener: Listener): Socket {
  const { port } = issuingCa.service[listener].server.address() as { port: number };
  return listener === 'http'
    ? connect({ port, host: '127.0.0.1' })
    : connectTls({ port, host: '127.0.0.1', ca: issuingCa.trust, ...issuingCa.admin });
}

/** Sends everything, and only then looks at what came, as many simple clients do. */
function sendAll(listener: Listener, parts: readonly (string | Buffer)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = dial(listener);
    let text = '';
    socket
      .on('error', reject)
      .on('data', (part) => (text += part.toString('latin1')))
      .on('end', () => {
        resolve(text);
        socket.destroy();
      });
    for (const part of parts) socket.write(part);
  });
}

const megabytes = (count: number): Buffer => Buffer.alloc(count * 1024 * 1024, 'x');

const head = (path: string, type: string, length: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: ${type}\r\n${length}\r\n\r\n`;

describe('a body far above the limit', () => {
  it.each([
    ['api', '/v1/tokens', 'application/json', '413'],
    ['api', '/v1/tokens', 'text/plain', '415'],
    ['api', '/v1/nothing', 'application/json', '404'],
    ['http', '/ocsp', 'application/ocsp-request', '413'],
    ['http', '/nothing', 'application/ocsp-request', '404'],
  ] as const)(
    'is answered, and the connection closed without a reset: %s %s %s (RFC 9112 §9.6)',
    async (listener, path, type, status) => {
      const length = `Content-Length: ${String(24 * 1024 * 1024)}`;
      for (let i = 0; i < 3; i++) {
        const text = await sendAll(listener, [head(path, type, length), megabytes(24)]);
        expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
        expect(text).toMatch(/\r\nconnection: close\r\n/i);
        expect(text.trimEnd()).toMatch(/\}$/);
      }
    },
  );

  it('is answered too where its length is not said', async () => {
    const chunk = megabytes(8);
    const text = await sendAll('api', [
      head('/v1/tokens', 'application/json', 'Transfer-Encoding: chunked'),
      `${chunk.length.toString(16)}\r\n`,
      chunk,
      '\r\n0\r\n\r\n',
    ]);
    expect(text).toMatch(/^HTTP\/1.1 413 /);
  });

  it('leaves a connection that is kept ready for the next request', async () => {
    const text = await sendAll('api', [
      head('/v1/tokens', 'text/plain', `Content-Length: ${String(1024 * 1024)}`).replace(
        'Connection: close\r\n',
        '',
      ),
      megabytes(1),
      'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    ]);
    expect(text).toMatch(/^HTTP\/1.1 415 [^]*HTTP\/1.1 200 [^]*\{"status":"ok"\}$/);
  });

  it('is not read for ever', async () => {
    const socket = dial('api');
    let text = '';
    socket.on('data', (part) => (text += part.toString('latin1')));
    const ended = new Promise<void>((resolve) => {
      socket.on('error', () => undefined).once('close', () => resolve());
    });
    socket.write(head('/v1/tokens', 'application/json', 'Content-Length: 100000000000'));
    const chunk = megabytes(1);
    const pump = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', pump);
    pump();
    await ended;
    expect(text).toMatch(/^HTTP\/1.1 413 /);
    expect(socket.bytesWritten).toBeGreaterThan(32 * 1024 * 1024);
  });
});

describe('what is no request', () => {
  it.each([
    ['a head without an end', `GET / HTTP/1.1\r\nHost: x\r\nA: `, '431'],
    ['a path without an end', 'GET /', '431'],
    ['noise', '\x00\x01\x02', '400'],
  ])('is answered, however much of it comes: %s', async (_what, begin, status) => {
    for (const listener of ['api', 'http'] as const) {
      for (let i = 0; i < 5; i++) {
        const text = await sendAll(listener, [begin, megabytes(2)]);
        expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      }
    }
  });
});
