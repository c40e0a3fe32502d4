// Who points something else at the port of MQTT: recognised, said in the log with what to do, and answered where it can be.
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestBroker, type LogLine } from './support/test-broker.ts';
import type { TestCertificate } from './support/test-pki.ts';

let broker: TestBroker;
let device: TestCertificate;
beforeAll(async () => {
  broker = await TestBroker.start({ maxPacketSize: 2048, connectTimeout: 1000 });
  device = await broker.device('pump');
});
afterAll(() => broker.stop());

/** All that it is answered until it is cut. */
function answerTo(socket: Duplex, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
    socket.on('close', () => resolve(said));
    socket.write(bytes);
  });
}

const overTcp = (bytes: string | Buffer): Promise<string> =>
  answerTo(connectTcp(broker.port, '127.0.0.1'), bytes);

const overTls = (bytes: string | Buffer, who?: TestCertificate): Promise<string> =>
  answerTo(
    connectTls({
      ...{ host: '127.0.0.1', port: broker.port, ca: broker.pki.ca.cert, servername: 'localhost' },
      ...(who === undefined ? {} : { cert: who.cert, key: who.key }),
      checkServerIdentity: () => undefined,
    }),
    bytes,
  );

const lastLine = (event: string, reason?: string): LogLine | undefined =>
  broker.lines.findLast(
    (line) => line.event === event && (reason === undefined || line.reason === reason),
  );

const get = 'GET / HTTP/1.1\r\nHost: broker\r\nAccept: */*\r\n\r\n';
const upgrade =
  'GET /mqtt HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

it('answers HTTP before TLS with a short text, and says so in the log', async () => {
  const answer = await overTcp(get);
  expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  expect(answer).toMatch(/port of an MQTT broker.*mqtts:\/\//);
  expect(lastLine('handshake failed')).toMatchObject({
    reason: 'ERR_SSL_HTTP_REQUEST',
    remedy: expect.stringMatching(/speaks HTTP to the port of MQTT/),
  });
});

it('answers HTTP within TLS, with a certificate or without one, and names who it was', async () => {
  expect(await overTls(get, device)).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n[^]*MQTT broker/);
  expect(lastLine('wrong protocol', 'http')?.msg).toMatch(
    /"pump" \(from 127\.0\.0\.1\) speaks HTTP/,
  );
  expect(await overTls(get)).toMatch(/^HTTP\/1\.1 400 /);
  expect(lastLine('wrong protocol', 'http')?.msg).toMatch(/A client \(from 127\.0\.0\.1\)/);
});

it('tells a WebSocket client to use the other port', async () => {
  expect(await overTls(upgrade, device)).toMatch(/^HTTP\/1\.1 400 /);
  expect(lastLine('wrong protocol', 'websocket')?.msg).toMatch(/--websocket-port/);
});

it('says of MQTT without TLS that TLS is what is missing', async () => {
  const connect = Buffer.from('101000044d51545404020000000461626364', 'hex');
  await overTcp(connect);
  expect(lastLine('handshake failed')?.msg).toMatch(/mqtts:\/\/ instead of mqtt:\/\//);
});

it('takes no bytes for HTTP that are none, whatever they are', async () => {
  const before = broker.lines.filter(({ event }) => event === 'wrong protocol').length;
  for (const bytes of ['GETX', 'get / HTTP/1.1\r\n\r\n', Buffer.from([0x47, 0x00]), '\0GET / ']) {
    expect(await overTls(bytes, device)).not.toMatch(/HTTP/);
  }
  expect(broker.lines.filter(({ event }) => event === 'wrong protocol')).toHaveLength(before);
}, 30_000);

it('says of a packet that is too large whose it was, the limit, and what sets it (MQTT-3.2.2-15)', async () => {
  const client = await broker.connect(device, { clientId: 'pump:big' });
  const why = new Promise<string | undefined>((resolve) =>
    client.once('disconnect', (packet) => resolve(packet.properties?.reasonString)),
  );
  client.publish('devices/pump/data', Buffer.alloc(4000));
  expect(await why).toMatch(/at most 2048[^]*--max-packet-size/);
  const line = lastLine('packet too large');
  expect(line).toMatchObject({ certificate: { cn: 'pump' }, clientId: 'pump:big' });
  expect(line?.msg).toMatch(/"pump" \(from 127\.0\.0\.1, client id "pump:big"\).*at most 2048/);
  expect(line?.msg).toMatch(/--max-packet-size/);
});

it('says it over WebSocket too', async () => {
  const client = await broker.connect(device, {
    ...{ protocol: 'wss', port: broker.broker.webSocketPort!, clientId: 'pump:web' },
  });
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  client.publish('devices/pump/data', Buffer.alloc(4000));
  await closed;
  await expect
    .poll(() => lastLine('packet too large')?.msg)
    .toMatch(/"pump" was cut: it sent a WebSocket message of more than 2048 bytes/);
});

it('keeps these among the refusals of the identity, for the issuing CA to show', async () => {
  const [answer] = await broker.control({ command: 'getPresence', start: '', after: 0 });
  const { refusals } = answer?.data as { refusals: { username: string; event: string }[] };
  expect(refusals.map(({ username, event }) => `${username} ${event}`)).toEqual(
    expect.arrayContaining(['pump wrong protocol', 'pump packet too large']),
  );
});
