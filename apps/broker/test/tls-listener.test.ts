import { copyFile, rename } from 'node:fs/promises';
import { connect } from 'node:net';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import { afterEach, expect, it } from 'vitest';
import { TestBroker } from './support/test-broker.ts';

let broker: TestBroker;

afterEach(() => broker.stop());

const closed = (socket: { once(event: 'close', listener: () => void): unknown }): Promise<void> =>
  new Promise((resolve) => socket.once('close', resolve));

it('drops a connection whose handshake does not come to its end, and says so', async () => {
  broker = await TestBroker.start({ handshakeTimeout: 150 });
  const socket = connect(broker.port, '127.0.0.1');
  socket.on('error', () => undefined);
  // The first bytes of a ClientHello, and nothing after.
  socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]));
  await closed(socket);
  await expect
    .poll(() => broker.line('handshake failed')?.msg)
    .toMatch(/did not finish it in time/);
  await expect.poll(() => broker.metrics()).toMatch(/handshakes_in_progress 0$/m);
});

it('drops a connection that does not send CONNECT, with a good certificate and without one', async () => {
  broker = await TestBroker.start({ connectTimeout: 150 });
  const device = await broker.device('silent');
  for (const own of [{}, { cert: device.cert, key: device.key }]) {
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: broker.port,
      ca: broker.pki.ca.cert,
      ...own,
    });
    socket.on('error', () => undefined);
    await closed(socket);
  }
  expect(broker.line('connection ended')?.msg).toMatch(/connect did not arrive in time/);
});

it('says that a client without TLS needs mqtts', async () => {
  broker = await TestBroker.start();
  const socket = connect(broker.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(Buffer.from('101000044d5154540402003c0004746573740000', 'hex'));
  await closed(socket);
  await expect.poll(() => broker.line('handshake failed')?.msg).toMatch(/use mqtts/);
});

it('refuses one connection more than it may have, and takes it when there is room', async () => {
  // The administrator who registers the device is one of them.
  broker = await TestBroker.start({ maxConnections: 2 });
  const device = await broker.device('crowd');
  const first = await broker.connect(device, { clientId: 'crowd:1' });
  const refused = await broker.refusal(device, { clientId: 'crowd:2' });
  expect(refused).toEqual({ code: 0x97, reasonString: expect.stringMatching(/max-connections/) });
  await first.endAsync();
  await expect.poll(() => broker.metrics()).toMatch(/keyline_broker_connections 1$/m);
  const second = await broker.connect(device, { clientId: 'crowd:2' });
  await second.endAsync();
});

it('uses a changed server certificate for new connections while old ones stay', async () => {
  broker = await TestBroker.start();
  const device = await broker.device('steady');
  const before = await broker.connect(device, { clientId: 'steady:1' });
  const next = await broker.pki.issue('broker', { usage: 'serverAuth' });
  // Between the two files nothing fits together: the old certificate has to stay in use.
  await copyFile(next.certFile, `${broker.server.certFile}.new`);
  await rename(`${broker.server.certFile}.new`, broker.server.certFile);
  await expect.poll(() => broker.line('certificate not swapped')?.msg).toMatch(/does not belong/);
  const between = await broker.connect(device, { clientId: 'steady:2' });
  await copyFile(next.keyFile, `${broker.server.keyFile}.new`);
  await rename(`${broker.server.keyFile}.new`, broker.server.keyFile);
  await expect.poll(() => broker.line('certificate swapped')?.['serialHex']).toBe(next.serialHex);
  const after = await broker.connect(device, { clientId: 'steady:3' });
  expect((after.stream as TLSSocket).getPeerCertificate().serialNumber.toLowerCase()).toBe(
    next.serialHex,
  );
  expect(before.connected && between.connected).toBe(true);
  await Promise.all([before.endAsync(), between.endAsync(), after.endAsync()]);
});
