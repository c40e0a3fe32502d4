// Listening apart from being called: several addresses, all of them, and a certificate that names none of those.
import { connect, createServer, type AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../src/program.ts';
import { listenOn } from '../src/listen.ts';

function ask(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => {
      socket.end('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    });
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('error', reject);
    socket.on('close', () => {
      resolve(text);
    });
  });
}

const createApp = () => {
  const app = Fastify();
  app.get('/', (request) => `for ${request.ip}`);
  return app;
};
const portOf = (app: ReturnType<typeof createApp>): number =>
  (app.server.address() as AddressInfo).port;

describe('listening', () => {
  it('is on every address that is named, on one port, and ends with the app', async () => {
    const app = createApp();
    await listenOn(app, ['127.0.0.2', '127.0.0.3', '127.0.0.2'], 0);
    const port = portOf(app);
    for (const host of ['127.0.0.2', '127.0.0.3'])
      expect(await ask(host, port)).toContain('for 127');
    await expect(ask('127.0.0.4', port)).rejects.toThrow('ECONNREFUSED');
    await app.close();
    for (const host of ['127.0.0.2', '127.0.0.3']) {
      await expect(ask(host, port)).rejects.toThrow('ECONNREFUSED');
    }
  });

  it('says which address it can not have, and what to do', async () => {
    const taken = createServer();
    await new Promise<void>((done) => taken.listen(0, '127.0.0.3', done));
    const { port } = taken.address() as AddressInfo;
    const app = createApp();
    await expect(listenOn(app, ['127.0.0.2', '127.0.0.3'], port)).rejects.toThrow(
      /USAGE: Can't listen on 127\.0\.0\.3.*--listen/,
    );
    await app.close();
    taken.close();
  });

  it('takes addresses only: a name is what it is called by', async () => {
    let said = '';
    const code = await runProgram(
      [
        ...['serve', '--data', 'x', '--config', 'x', '--port', '1', '--http-port', '2'],
        ...['--listen', 'ca.example.org'],
      ],
      {
        out: () => undefined,
        err: (text) => (said += text),
        createLog: () => {
          throw new Error('not reached');
        },
        stop: AbortSignal.abort(),
      },
    );
    expect([code, said]).toEqual([2, expect.stringContaining('IP address')]);
  });
});
