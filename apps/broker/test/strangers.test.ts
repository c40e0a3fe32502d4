// What the listener and the metrics port are sent by somebody who belongs to nobody.
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { spawnTool } from './support/run-tool.ts';
import { TestBroker } from './support/test-broker.ts';
import type { TestCertificate } from './support/test-pki.ts';

const closed = (socket: { once(event: 'close', listener: () => void): unknown }): Promise<void> =>
  new Promise((resolve) => socket.once('close', resolve));

function open(port: number, localAddress = '127.0.0.1'): Socket {
  const socket = connectTcp({ port, host: '127.0.0.1', localAddress });
  socket.on('error', () => undefined);
  return socket;
}

describe('a certificate that nobody has judged yet', () => {
  let broker: TestBroker;
  let device: TestCertificate;

  beforeAll(async () => {
    broker = await TestBroker.start();
    device = await broker.device('steady');
  });
  afterAll(() => broker.stop());

  const serials = [
    ['a negative serial', '-1'],
    ['a long negative serial', `-0x${'7f'.repeat(20)}`],
    ['a serial of 21 octets', `0x01${'00'.repeat(20)}`],
    ['a serial of 64 octets', `0x${'11'.repeat(64)}`],
    ['serial 0', '0'],
  ] as const;

  it.each(serials)('is refused with %s, over TLS (RFC 5280 §4.1.2.2)', async (_what, serial) => {
    const strange = await broker.pki.issue('steady', { serial });
    const refused = await broker.refusal(strange, { clientId: 'steady' });
    expect(refused).toEqual({
      code: 0x87,
      reasonString: expect.stringMatching(/a serial that is not a positive number/),
    });
    expect(broker.line('connection refused')?.reason).toBe('certificate-unreadable');
  });

  it.each(serials)(
    'is refused with %s, over WebSocket (RFC 5280 §4.1.2.2)',
    async (_what, serial) => {
      const strange = await broker.pki.issue('steady', { serial });
      const refused = await broker.refusal(strange, {
        clientId: 'steady',
        protocol: 'wss',
        port: broker.broker.webSocketPort!,
        wsOptions: { ca: broker.pki.ca.cert, cert: strange.cert, key: strange.key },
      });
      expect(refused.code).toBe(0x87);
    },
  );

  it('is refused when it is self-signed and has such a serial', async () => {
    const other = await broker.pki.createOtherCa();
    const strange = await broker.pki.issue('steady', { ca: other, serial: '-5' });
    const refused = await broker.refusal(strange, { clientId: 'steady' });
    expect(refused.code).toBe(0x87);
  });

  it('is refused without an extended key usage, which OpenSSL alone would let pass (RFC 5280 §4.2.1.12)', async () => {
    const refused = await broker.refusal(await broker.pki.issue('steady', { usage: 'none' }));
    expect(refused.reasonString).toMatch(/not for TLS clients/);
  });

  it('is refused when it is the certificate of a CA (RFC 5280 §4.2.1.9)', async () => {
    const refused = await broker.refusal(await broker.pki.issue('steady', { isCa: true }));
    expect(refused.reasonString).toMatch(/that of a CA/);
  });

  it('lets the device in that has a plain one', async () => {
    const client = await broker.connect(device, { clientId: 'steady' });
    await client.endAsync();
  });
});

describe('TLS', () => {
  let broker: TestBroker;

  afterEach(() => broker.stop());

  async function sClient(
    args: readonly string[],
    input: string,
  ): Promise<{ readonly code: number; readonly output: string }> {
    return spawnTool(
      'openssl',
      [
        ...['s_client', '-connect', `127.0.0.1:${String(broker.port)}`],
        ...['-CAfile', broker.pki.ca.certFile, ...args],
      ],
      input,
    );
  }

  it('refuses a renegotiation (SSL_OP_NO_RENEGOTIATION)', async () => {
    broker = await TestBroker.start();
    const { cert, key } = await broker.device('again');
    const socket = connectTls({
      host: '127.0.0.1',
      port: broker.port,
      ca: broker.pki.ca.cert,
      cert,
      key,
      maxVersion: 'TLSv1.2',
    });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    const refused = await new Promise<Error | null>((resolve) => {
      socket.once('error', resolve);
      socket.renegotiate({}, resolve);
    });
    expect(refused).toBeInstanceOf(Error);
    socket.destroy();
  });

  it('resumes no session, and puts no certificate into a ticket (SSL_OP_NO_TICKET)', async () => {
    broker = await TestBroker.start();
    for (const version of ['-tls1_2', '-tls1_3']) {
      const file = join(broker.folder, `session${version}`);
      const first = await sClient([version, '-sess_out', file], '');
      expect(first.output).toMatch(/New, TLSv1.\d, Cipher is [A-Z]/);
      // TLS 1.3 sends the name of a session instead, 32 octets; in TLS 1.2 there is nothing.
      expect(first.output).not.toMatch(/0020 - /);
      const second = await sClient([version, '-sess_in', file], '');
      expect(second.output).not.toMatch(/Reused, /);
    }
  });

  it.each([
    ['TLS_AES_128_CCM_8_SHA256', ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_8_SHA256']],
    ['ECDHE-ECDSA-AES128-CCM8', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-CCM8']],
  ])(
    'speaks %s with small stacks where it is asked for, and not by default',
    async (name, args) => {
      broker = await TestBroker.start(
        {},
        {
          ciphers:
            'ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_8_SHA256:@SECLEVEL=0',
        },
      );
      // OpenSSL's own level counts 64 bits of tag as too few.
      const small = await sClient(
        [
          ...args,
          ...(name.startsWith('TLS')
            ? ['-cipher', 'DEFAULT@SECLEVEL=0']
            : ['-cipher', `${name}@SECLEVEL=0`]),
        ],
        '',
      );
      expect(small.output).toContain(`Cipher is ${name}`);
      await broker.stop();
      broker = await TestBroker.start();
      const usual = await sClient(
        [
          ...args,
          ...(name.startsWith('TLS')
            ? ['-cipher', 'DEFAULT@SECLEVEL=0']
            : ['-cipher', `${name}@SECLEVEL=0`]),
        ],
        '',
      );
      expect(usual.output).toMatch(/Cipher is \(NONE\)/);
    },
  );

  it('refuses a client that signs with SHA-1', async () => {
    broker = await TestBroker.start();
    const { certFile, keyFile } = await broker.device('old');
    const { output } = await sClient(
      [
        ...['-tls1_2', '-cipher', 'DEFAULT@SECLEVEL=0', '-cert', certFile, '-key', keyFile],
        ...['-sigalgs', 'ECDSA+SHA1'],
      ],
      '',
    );
    expect(output).toMatch(/Cipher is \(NONE\)|handshake failure|no shared|no suitable/i);
  });

  it('refuses a chain of more than 100 KiB, and whoever sends it alone', async () => {
    broker = await TestBroker.start();
    const { certFile, keyFile } = await broker.device('long');
    const pem = broker.pki.ca.cert.toString();
    const chain = join(broker.folder, 'chain.pem');
    await writeFile(chain, pem.repeat(Math.ceil((110 * 1024) / (pem.length * 0.7))));
    const args = ['-cert', certFile, '-key', keyFile, '-cert_chain', chain];
    await sClient([...args, '-tls1_2'], '');
    await expect.poll(() => broker.line('handshake failed')?.reason).toMatch(/MESSAGE_SIZE|LENGTH/);
    const client = await broker.connect(await broker.device('short'), { clientId: 'short' });
    await client.endAsync();
  });

  it('cuts a peer that draws its handshake out byte by byte, however steadily', async () => {
    broker = await TestBroker.start({ handshakeTimeout: 300 });
    const socket = open(broker.port);
    await once(socket, 'connect');
    const hello = Buffer.from([0x16, 0x03, 0x01, 0x20, 0x00, 0x01, 0x00, 0x1f, 0xfc]);
    let at = 0;
    const drip = setInterval(() => {
      socket.write(Buffer.from([hello[at] ?? 0x00]));
      at += 1;
    }, 50);
    await closed(socket);
    clearInterval(drip);
    await expect.poll(() => broker.metrics()).toMatch(/handshakes_in_progress 0$/m);
  });
});

describe('connections from one address', () => {
  let broker: TestBroker;
  const sockets = new Set<Socket>();

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await broker.stop();
  });

  /** TCP connections that say nothing. */
  async function crowd(count: number, localAddress: string): Promise<void> {
    await Promise.all(
      Array.from({ length: count }, async () => {
        const socket = open(broker.port, localAddress);
        sockets.add(socket);
        await once(socket, 'connect');
      }),
    );
  }

  it('that hold all room for handshakes give way to a device of another address', async () => {
    broker = await TestBroker.start({ maxHandshakes: 50, handshakeTimeout: 60_000 });
    const device = await broker.device('other');
    await crowd(60, '127.0.0.2');
    await expect.poll(() => broker.metrics()).toMatch(/handshakes_in_progress 50$/m);
    for (let round = 0; round < 5; round += 1) {
      const client = await broker.connect(device, { clientId: 'other' });
      await client.endAsync();
    }
  });

  it('that say nothing give way to a device behind the same address', async () => {
    broker = await TestBroker.start({ maxHandshakes: 50, handshakeTimeout: 60_000 });
    const device = await broker.device('neighbour');
    await crowd(60, '127.0.0.1');
    await expect.poll(() => broker.metrics()).toMatch(/handshakes_in_progress 50$/m);
    await expect
      .poll(
        async () => {
          try {
            await (await broker.connect(device, { clientId: 'neighbour' })).endAsync();
            return 'let in';
          } catch {
            return 'kept out';
          }
        },
        { timeout: 5000 },
      )
      .toBe('let in');
  });

  it('that finish the handshake and send no CONNECT keep nobody out either', async () => {
    broker = await TestBroker.start({ maxWaitingConnections: 20, connectTimeout: 60_000 });
    const device = await broker.device('last');
    for (let count = 0; count < 30; count += 1) {
      const socket = connectTls({
        host: '127.0.0.1',
        port: broker.port,
        localAddress: '127.0.0.2',
        rejectUnauthorized: false,
      } as ConnectionOptions);
      sockets.add(socket);
      socket.on('error', () => undefined);
      await Promise.race([once(socket, 'secureConnect'), closed(socket)]);
    }
    const client = await broker.connect(device, { clientId: 'last' });
    await client.endAsync();
    expect(await broker.metrics()).toMatch(/reason="too-many-waiting"\} \d+/);
  });

  it('are limited where a limit is asked for (--max-connections-per-address)', async () => {
    broker = await TestBroker.start({ maxConnectionsPerAddress: 3 });
    await crowd(3, '127.0.0.2');
    const fourth = open(broker.port, '127.0.0.2');
    await closed(fourth);
    const elsewhere = open(broker.port, '127.0.0.3');
    sockets.add(elsewhere);
    await once(elsewhere, 'connect');
    const [first] = sockets;
    first?.destroy();
    await expect
      .poll(async () => {
        const next = open(broker.port, '127.0.0.2');
        sockets.add(next);
        const end = await Promise.race([
          closed(next).then(() => 'closed'),
          new Promise((resolve) => setTimeout(() => resolve('stays'), 100)),
        ]);
        return end;
      })
      .toBe('stays');
  });
});

describe('plain HTTP of the broker', () => {
  let broker: TestBroker;

  beforeAll(async () => {
    broker = await TestBroker.start();
  });
  afterAll(() => broker.stop());

  async function ask(port: number, text: string): Promise<string> {
    const socket = open(port);
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString();
    });
    socket.write(text);
    await closed(socket);
    return answer;
  }

  const requests = [
    ['//', 'GET // HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1.1 404/],
    ['//[', 'GET //[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1.1 404/],
    [
      'http://[',
      'GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      /^(HTTP\/1.1 404)?/,
    ],
    ['*', 'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1.1 405/],
    ['a CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^/],
    [
      'an upgrade',
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: x\r\n\r\n',
      /^/,
    ],
    [
      'a POST with a body',
      'POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc',
      /^HTTP\/1.1 405/,
    ],
    ['16 KiB of headers', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(16_384)}\r\n\r\n`, /^/],
    ['no HTTP', '\x16\x03\x01\x00\x00garbage\r\n\r\n', /^/],
  ] as const;

  it.each(requests)('survives a request for %s', async (_what, text, expected) => {
    expect(await ask(broker.broker.metricsPort, text)).toMatch(expected);
    expect(await broker.metrics()).toMatch(/keyline_broker_connections 0$/m);
  });

  it('closes a connection that asks for nothing, without an answer', async () => {
    const socket = open(broker.broker.metricsPort);
    socket.write('GET /metrics HTT');
    await closed(socket);
    expect(await broker.metrics()).toMatch(/keyline_broker_connections 0$/m);
  }, 30_000);

  it.each(requests)('survives a request for %s on the WebSocket port', async (_what, text) => {
    const socket: TLSSocket = connectTls({
      host: '127.0.0.1',
      port: broker.broker.webSocketPort!,
      rejectUnauthorized: false,
    });
    socket.on('error', () => undefined);
    socket.resume();
    await once(socket, 'secureConnect');
    socket.write(text);
    socket.end();
    await closed(socket);
    expect(await broker.metrics()).toMatch(/keyline_broker_connections 0$/m);
  });

  it('survives a WebSocket that speaks another protocol, or ends in the middle of a frame', async () => {
    const { cert, key } = await broker.device('web');
    const options = { ca: broker.pki.ca.cert, cert, key };
    const url = `wss://127.0.0.1:${String(broker.broker.webSocketPort)}/mqtt`;
    const other = new WebSocket(url, ['nothing'], options);
    await new Promise<void>((resolve) => {
      other.once('error', () => undefined).once('close', () => resolve());
    });
    const torn = new WebSocket(url, ['mqtt'], options);
    await new Promise<void>((resolve) => torn.once('open', () => resolve()));
    torn.on('error', () => undefined);
    const raw = (torn as unknown as { _socket: TLSSocket })._socket;
    raw.write(Buffer.from([0x82, 0xfe, 0xff, 0xff, 0x01]));
    raw.destroy();
    const text = new WebSocket(url, ['mqtt'], options);
    await new Promise<void>((resolve) => text.once('open', () => resolve()));
    text.on('error', () => undefined);
    text.send('words instead of bytes');
    await new Promise<void>((resolve) => text.once('close', () => resolve()));
    const client = await broker.connect(await broker.device('web-2'), { clientId: 'web-2' });
    await client.endAsync();
  });
});
