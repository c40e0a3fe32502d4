import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import { connect, type IConnackPacket } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  adminName,
  ended,
  nextMessage,
  TestBroker,
  type ConnectOptions,
} from './support/test-broker.ts';
import type { TestCertificate } from './support/test-pki.ts';

let broker: TestBroker;
let device: TestCertificate;

beforeAll(async () => {
  broker = await TestBroker.start();
  device = await broker.device('pump-1');
  await broker.control({ command: 'createClient', username: 'pump-2' });
});

afterAll(() => broker.stop());

describe.each([4, 5] as const)('MQTT version %i', (protocolVersion) => {
  const code = (v4: number, v5: number): number => (protocolVersion === 5 ? v5 : v4);

  it('lets a registered identity in over TLS 1.2 and 1.3', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const client = await broker.connect(device, {
        protocolVersion,
        clientId: 'pump-1',
        minVersion: version,
        maxVersion: version,
      });
      expect(client.connected).toBe(true);
      await client.endAsync();
    }
  });

  async function expectRefusal(
    certificate: TestCertificate | undefined,
    expected: { code: number; reason: string; says: RegExp; options?: ConnectOptions },
  ): Promise<void> {
    const refused = await broker.refusal(certificate, { protocolVersion, ...expected.options });
    expect(refused.code).toBe(expected.code);
    if (protocolVersion === 5) expect(refused.reasonString).toMatch(expected.says);
    const line = broker.line('connection refused');
    expect(line?.reason).toBe(expected.reason);
    expect(line?.msg).toMatch(expected.says);
    expect(line?.['remedy']).toMatch(/\w/);
  }

  it('refuses a client without a certificate, and says so', () =>
    expectRefusal(undefined, {
      code: code(5, 0x87),
      reason: 'no-certificate',
      says: /sent no certificate.*Give the client its certificate/,
      options: { clientId: 'pump-1' },
    }));

  it('refuses a certificate of an unknown CA with the same name', async () => {
    const ca = await broker.pki.createOtherCa();
    await expectRefusal(await broker.pki.issue('pump-1', { ca }), {
      code: code(5, 0x87),
      reason: 'unknown-ca',
      says: /"pump-1".*not issued by a CA this broker trusts/,
    });
  });

  it('refuses an expired certificate with its date', async () => {
    const expired = await broker.pki.issue('pump-1', {
      from: '20200101000000Z',
      until: '20210101000000Z',
    });
    await expectRefusal(expired, {
      code: code(5, 0x87),
      reason: 'certificate-expired',
      says: /"pump-1".*expired on 2021-01-01T00:00:00Z.*Renew/,
    });
  });

  it('refuses a certificate that is not valid yet', async () => {
    const early = await broker.pki.issue('pump-1', { from: '20900101000000Z' });
    await expectRefusal(early, {
      code: code(5, 0x87),
      reason: 'certificate-not-yet-valid',
      says: /begins on 2090-01-01/,
    });
  });

  it('refuses a server certificate used by a client', async () => {
    await expectRefusal(await broker.pki.issue('pump-1', { usage: 'serverAuth' }), {
      code: code(5, 0x87),
      reason: 'certificate-purpose',
      says: /not for TLS clients.*clientAuth/,
    });
  });

  it.each([
    ['two CNs', '/CN=pump-1/CN=pump-2', /has 2 CNs/],
    ['no CN', '/O=Plant', /has 0 CNs/],
    ['a CN with a wildcard', '/CN=a#', /has the CN "a#"/],
  ])('refuses a subject with %s', async (_what, subject, says) => {
    await expectRefusal(await broker.pki.issue('', { subject }), {
      code: code(5, 0x87),
      reason: 'certificate-name',
      says,
    });
  });

  it('refuses an identity that nobody registered', async () => {
    await expectRefusal(await broker.pki.issue('stranger'), {
      code: code(5, 0x87),
      reason: 'identity-unknown',
      says: /"stranger" is not known.*Enroll/,
    });
  });

  it('refuses a disabled identity until it is enabled again', async () => {
    await broker.control({ command: 'disableClient', username: 'pump-2' });
    const certificate = await broker.pki.issue('pump-2');
    await expectRefusal(certificate, {
      code: code(5, 0x87),
      reason: 'identity-disabled',
      says: /"pump-2" is disabled.*resume/,
    });
    await broker.control({ command: 'enableClient', username: 'pump-2' });
    const client = await broker.connect(certificate, { protocolVersion, clientId: 'pump-2' });
    await client.endAsync();
  });

  it('refuses the client id of somebody else, whose session goes on', async () => {
    const owner = await broker.connect(device, { protocolVersion, clientId: 'pump-1' });
    const thief = await broker.pki.issue('pump-2');
    await expectRefusal(thief, {
      code: code(2, 0x85),
      reason: 'client-id',
      says: /"pump-2" asked for the client id "pump-1".*CN:suffix/,
      options: { clientId: 'pump-1' },
    });
    expect(owner.connected).toBe(true);
    await owner.endAsync();
  });

  it.each(['devices/pump-2/state', '$SYS/x', '$CONTROL/dynamic-security/v1'])(
    'refuses a will on the foreign topic %s',
    (topic) =>
      expectRefusal(device, {
        code: code(5, 0x87),
        reason: 'will-topic',
        says: /may not publish to its will topic/,
        options: { clientId: 'pump-1', will: { topic, payload: 'gone', qos: 1, retain: false } },
      }),
  );

  it('refuses a will topic with a wildcard (MQTT-4.7.1-1)', async () => {
    const refusal = broker.refusal(device, {
      ...{ protocolVersion, clientId: 'pump-1' },
      will: { topic: 'devices/pump-1/#', payload: 'gone', qos: 1, retain: false },
    });
    // MQTT 3.1.1 has no word for it.
    if (protocolVersion === 4) await expect(refusal).rejects.toThrow('closed without CONNACK');
    else {
      expect(await refusal).toEqual({
        code: 0x81,
        reasonString: expect.stringMatching(/wildcard.*MQTT-3\.3\.2-2/),
      });
    }
    expect(broker.line('connection ended')?.['error']).toMatch(/wildcard/);
  });

  it('ignores a user name and a password beside the certificate', async () => {
    const client = await broker.connect(device, {
      protocolVersion,
      clientId: 'pump-1',
      username: adminName,
      password: 'whatever',
    });
    const [answer] = await client.subscribeAsync('$CONTROL/#').catch(() => [{ qos: 128 }]);
    expect(answer?.qos).toBeGreaterThanOrEqual(0x80);
    await client.endAsync();
  });

  it('ends the older connection when the same identity connects with the same client id', async () => {
    const older = await broker.connect(device, { protocolVersion, clientId: 'pump-1' });
    const end = ended(older);
    const newer = await broker.connect(device, { protocolVersion, clientId: 'pump-1' });
    expect((await end).reasonCode).toBe(protocolVersion === 5 ? 0x8e : undefined);
    expect(newer.connected).toBe(true);
    await newer.endAsync();
  });
});

it('tells an MQTT 5 client the client id it was given', async () => {
  const client = connect(broker.optionsFor(device, { clientId: '' }));
  const connack = await new Promise<IConnackPacket>((resolve) => client.once('connect', resolve));
  expect(connack.properties?.assignedClientIdentifier).toMatch(/^pump-1:[\w-]{12}$/);
  await client.endAsync();
});

it('lets one identity hold several connections under suffixes', async () => {
  const first = await broker.connect(device, { clientId: 'pump-1:a' });
  const second = await broker.connect(device, { clientId: 'pump-1:b' });
  expect(first.connected && second.connected).toBe(true);
  await Promise.all([first.endAsync(), second.endAsync()]);
});

it('refuses a certificate as soon as its serial is revoked, and resumes no TLS session', async () => {
  const certificate = await broker.device('pump-3');
  const client = await broker.connect(certificate, { clientId: 'pump-3' });
  await client.publishAsync('devices/pump-3/telemetry', '1', { qos: 1 });
  const session = (client.stream as TLSSocket).getSession()!;
  const again = await broker.connect(certificate, {
    clientId: 'pump-3',
    session,
  });
  expect((again.stream as TLSSocket).isSessionReused()).toBe(false);
  const cut = ended(again);
  const [answer] = await broker.control({
    command: 'revokeCertificates',
    serials: [certificate.serialHex],
  });
  expect(answer).not.toHaveProperty('error');
  expect((await cut).reasonCode).toBe(0x98);
  for (const resumption of [{}, { session }]) {
    const refused = await broker.refusal(certificate, { clientId: 'pump-3', ...resumption });
    expect(refused.reasonString).toMatch(/"pump-3" \(serial .*is revoked/);
  }
  expect(await broker.metrics()).toMatch(
    /handshakes_total\{result="refused",reason="certificate-revoked"\} 2/,
  );
});

it('speaks no TLS 1.1', async () => {
  const error = await new Promise<Error>((resolve) => {
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: broker.port,
      rejectUnauthorized: false,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    socket.once('error', resolve);
  });
  expect(error.message).toMatch(/alert protocol version|unsupported protocol/i);
});

describe('MQTT over WebSocket over TLS', () => {
  const overWebSocket = (certificate: TestCertificate | undefined): ConnectOptions => ({
    protocol: 'wss',
    port: broker.broker.webSocketPort!,
    path: '/mqtt',
    wsOptions: {
      ca: broker.pki.ca.cert,
      ...(certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key }),
    },
  });

  it('lets a registered identity in and carries its messages', async () => {
    const client = await broker.connect(device, { clientId: 'pump-1', ...overWebSocket(device) });
    await client.subscribeAsync('devices/pump-1/#', { qos: 1 });
    const message = nextMessage(client);
    await client.publishAsync('devices/pump-1/x', 'over the web', { qos: 2 });
    expect((await message).text).toBe('over the web');
    await client.endAsync();
  });

  it('refuses as on the other port, with the reason', async () => {
    const refused = await broker.refusal(undefined, {
      clientId: 'pump-1',
      ...overWebSocket(undefined),
    });
    expect(refused).toEqual({ code: 0x87, reasonString: expect.stringMatching(/no certificate/) });
  });
});
