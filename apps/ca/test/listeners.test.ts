// What both listeners bear: slow heads and bodies, floods from one address, guesses, broken TLS. With real sockets.
import { Agent } from 'node:https';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIssuingCa, changedConfig, makeCsr, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  const folder = await changedConfig(issuingCa, [
    ['connections: 4096', 'connections: 16'],
    ['headerTime: 10s', 'headerTime: 1s'],
    ['bodyTime: 20s', 'bodyTime: 1s'],
    ['bodyBytesInFlight: 67108864', 'bodyBytesInFlight: 1048576'],
    ['streams: 256', 'streams: 2'],
    ['anonymous: { requests: 300,', 'anonymous: { requests: 5,'],
  ]);
  await issuingCa.restart(folder);
});
afterAll(() => issuingCa.close());

type Listener = 'api' | 'http';
const portOf = (listener: Listener): number =>
  (issuingCa.service[listener].server.address() as { port: number }).port;

/** From another address of this machine, as another peer would come. */
function dial(listener: Listener, from = '127.0.0.1'): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: portOf(listener), localAddress: from });
    socket.on('error', reject);
    socket.once('connect', () => {
      resolve(socket);
    });
  });
}

function dialTls(options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      ...{ host: '127.0.0.1', port: portOf('api'), ca: issuingCa.trust, ...options },
    });
    socket.on('error', reject);
    socket.once('secureConnect', () => {
      resolve(socket);
    });
  });
}

/** What came until the other side closed. */
function readToEnd(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.once('close', () => {
      resolve(text);
    });
  });
}

async function metric(name: string): Promise<number> {
  const { text } = await issuingCa.call('GET', '/metrics', { as: issuingCa.admin });
  const values = [...text.matchAll(new RegExp(`^${name}(\\{[^}]*\\})? (\\d+)$`, 'gm'))];
  return values.reduce((sum, [, , value]) => sum + Number(value), 0);
}

describe('a slow peer', () => {
  it.each(['api', 'http'] as const)('that says nothing is cut off: %s', async (listener) => {
    const socket = await dial(listener);
    await readToEnd(socket);
  });

  it('that sends half a head is answered 408 and cut off (RFC 9110 §15.5.9)', async () => {
    const plain = await dial('http');
    plain.write('GET /crl/issuing-1.crl HTTP/1.1\r\nHost: x\r\n');
    expect(await readToEnd(plain)).toContain('REQUEST_TIMEOUT');
    const tls = await dialTls();
    tls.write('GET /healthz HTTP/1.1\r\nHost: x\r\n');
    expect(await readToEnd(tls)).toContain('HTTP/1.1 408');
  });

  it('that sends half a body is cut off, also one that waits for 100 Continue', async () => {
    for (const extra of ['', 'Expect: 100-continue\r\n']) {
      const socket = await dialTls();
      socket.write(
        `POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n${extra}\r\n{`,
      );
      expect(await readToEnd(socket)).not.toContain('HTTP/1.1 2');
    }
    expect(await metric('keyline_listener_ended_total')).toBeGreaterThan(1);
  });

  it('may be a station that streams units: it has no time set once it is admitted', async () => {
    await issuingCa.call('POST', '/v1/batches', {
      body: { id: 'slow', quota: 5 },
      as: issuingCa.admin,
    });
    const socket = await dialTls({ ...issuingCa.admin });
    socket.write(
      'POST /v1/batches/slow/sign HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
    const send = async (id: string): Promise<void> => {
      const line = `${JSON.stringify({ id, csr: (await makeCsr(id)).pem })}\n`;
      socket.write(`${line.length.toString(16)}\r\n${line}\r\n`);
    };
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    await send('slow-1');
    await expect.poll(() => text).toContain('slow-1');
    // Another slow body, begun later, is cut off meanwhile.
    const other = await dialTls();
    other.write('POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n');
    other.write('Content-Length: 9\r\n\r\n');
    await readToEnd(other);
    await send('slow-2');
    await expect.poll(() => text).toContain('slow-2');
    socket.destroy();
  });
});

describe('streams of units', () => {
  it('are bounded in number while they last, however many one connection has after another', async () => {
    await issuingCa.call('POST', '/v1/batches', {
      body: { id: 'many', quota: 5 },
      as: issuingCa.admin,
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const stream = (body: string) =>
      issuingCa.call('POST', '/v1/batches/many/sign', {
        ...{ body, agent, as: issuingCa.admin },
        headers: { 'content-type': 'application/x-ndjson' },
      });
    // 2 at once are allowed.
    for (let i = 0; i < 5; i++) expect((await stream('{}\n')).status).toBe(200);
    agent.destroy();
    const head =
      'POST /v1/batches/many/sign HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n';
    const open: TLSSocket[] = [];
    const first: string[] = [];
    for (let i = 0; i < 3; i++) {
      const socket = await dialTls({ ...issuingCa.admin });
      open.push(socket);
      socket.write(head);
      first.push(await new Promise((done) => socket.once('data', (data) => done(String(data)))));
    }
    expect(first.map((text) => text.slice(9, 12))).toEqual(['200', '200', '503']);
    for (const socket of open) socket.destroy();
    await expect.poll(async () => (await stream('{}\n')).status).toBe(200);
  });
});

describe('a flood of connections from one address', () => {
  it.each(['api', 'http'] as const)('lets others in: %s', async (listener) => {
    const flood: Socket[] = [];
    let ended = 0;
    for (let i = 0; i < 40; i++) {
      const socket = await dial(listener, '127.0.0.2');
      socket.on('error', () => undefined).on('close', () => ended++);
      socket.resume();
      flood.push(socket);
    }
    const answer =
      listener === 'api'
        ? await issuingCa.call('GET', '/healthz')
        : await issuingCa.plain('GET', '/healthz');
    expect(answer.status).toBe(200);
    await expect.poll(() => ended).toBe(40);
  });
});

describe('bodies on their way in', () => {
  it('are bounded in all: a flood from one address gives way to others', async () => {
    // Each says it brings 64 KiB; 1 MiB may be on its way.
    const head =
      'POST /v1/enroll HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 65000\r\n\r\n{';
    const before = await metric('keyline_listener_ended_total');
    const ends: Promise<string>[] = [];
    // Several requests for one connection would be answered in turn: so one each, below the bound of connections.
    const sockets = await Promise.all(Array.from({ length: 14 }, () => dialTls()));
    for (const socket of sockets) {
      socket.write(head);
      ends.push(readToEnd(socket));
    }
    await Promise.all(ends);
    expect(await metric('keyline_listener_ended_total')).toBeGreaterThanOrEqual(before + 14);
    const token = await issuingCa.call('POST', '/v1/tokens', { body: {}, as: issuingCa.admin });
    expect(token.status).toBe(201);
  });
});

describe('a body that has come', () => {
  it('is no longer on its way, on a connection that is kept', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const body = { description: 'x'.repeat(60_000) };
    // Together far more than may be on its way at once.
    for (let i = 0; i < 60; i++) {
      const { status } = await issuingCa.call('POST', '/v1/tokens', {
        body,
        agent,
        as: issuingCa.admin,
      });
      expect(status).toBe(400);
    }
    agent.destroy();
  });
});

describe('guesses', () => {
  it('are refused before they are judged, right ones too; a token that was right before is none', async () => {
    const make = async (): Promise<string> =>
      (await issuingCa.call('POST', '/v1/tokens', { body: { maxUses: 9 }, as: issuingCa.admin }))
        .body.secret as string;
    const [used, unused] = [await make(), await make()];
    const enroll = async (id: string, token: string) => {
      const { pem: csr } = await makeCsr(id);
      return (await issuingCa.call('POST', '/v1/enroll', { body: { csr, token } })).status;
    };
    expect(await enroll('g1', used)).toBe(201);
    for (let i = 0; i < 5; i++) expect(await enroll('g2', `kle_wrong${String(i)}`)).toBe(401);
    expect(await enroll('g2', 'kle_wrong')).toBe(429);
    expect(await enroll('g2', unused)).toBe(429);
    expect(await enroll('g3', used)).toBe(201);
    const { status, headers } = await issuingCa.call('GET', '/v1/whoami', {
      headers: { authorization: 'Bearer kla_wrong' },
    });
    expect([status, Number(headers['retry-after']) > 0]).toEqual([429, true]);
    // A client certificate is no guess.
    expect((await issuingCa.call('GET', '/v1/whoami', { as: issuingCa.admin })).status).toBe(200);
  });
});

describe('TLS of the API', () => {
  it('is spoken in 1.2 with ECDHE and AEAD, by what can do no better', async () => {
    const socket = await dialTls({ maxVersion: 'TLSv1.2' });
    expect(socket.getProtocol()).toBe('TLSv1.2');
    expect(socket.getCipher().standardName).toMatch(/^TLS_ECDHE_.*_(GCM|CCM|POLY1305)/);
    socket.destroy();
  });

  it('takes no cipher without forward secrecy or with CBC (RFC 9325 §4.2), and counts who offers nothing else', async () => {
    const before = await metric('keyline_tls_handshakes_failed_total');
    for (const ciphers of ['ECDHE-ECDSA-AES128-SHA256', 'AES128-GCM-SHA256']) {
      await expect(dialTls({ maxVersion: 'TLSv1.2', ciphers })).rejects.toThrow(/handshake/i);
    }
    expect(await metric('keyline_tls_handshakes_failed_total')).toBe(before + 2);
  });

  it('refuses to renegotiate (RFC 9325 §3.5)', async () => {
    const socket = await dialTls({ maxVersion: 'TLSv1.2' });
    const refused = await new Promise<Error | null>((resolve) => {
      socket.on('error', resolve);
      socket.renegotiate({}, resolve);
    });
    expect(refused?.message).toMatch(/no.renegotiation/i);
    socket.destroy();
  });
});
