// Where the two differ on purpose: who is let in with a certificate. Keyline refuses whom it does not know or has disabled; Mosquitto
// lets anybody in whom its CA vouches for, and a disabled client back in with all its rights (its issue 2999). So what Keyline does
// to suspend a device, it must do with more than disableClient there: the last case.
import { connectAsync, type MqttClient } from 'mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDynsecClient, type DynsecClient } from '@keyline/dynsec';
import { TestBroker } from '../../apps/broker/test/support/test-broker.ts';
import { TestPki } from '../../apps/broker/test/support/test-pki.ts';
import { has } from '../support/needs.ts';
import { adminLogin, adminState, startMosquitto, type RealMosquitto } from './real-mosquitto.ts';

const device = [
  {
    command: 'createRole',
    rolename: 'r',
    acls: [{ acltype: 'publishClientSend', topic: 'up/#', allow: true }],
  },
  { command: 'createClient', username: 'dev1' },
  { command: 'addClientRole', username: 'dev1', rolename: 'r' },
];
const suspension = [
  { command: 'disableClient', username: 'dev1' },
  { command: 'modifyClient', username: 'dev1', roles: [], groups: [] },
];

describe.skipIf(!has('openssl'))("Certificates at Keyline's broker", () => {
  let broker: TestBroker;
  beforeEach(async () => {
    broker = await TestBroker.start();
    await broker.control(...device);
  });
  afterEach(() => broker.stop());

  it('of an unknown identity are refused at CONNECT', async () => {
    const refused = await broker.refusal(await broker.pki.issue('stranger'), {
      clientId: 'stranger',
    });
    expect(refused.code).toBe(0x87);
  });

  it('of a disabled client are refused at CONNECT, until it is enabled', async () => {
    const certificate = await broker.pki.issue('dev1');
    await broker.control({ command: 'disableClient', username: 'dev1' });
    expect((await broker.refusal(certificate, { clientId: 'dev1' })).code).toBe(0x87);
    await broker.control({ command: 'enableClient', username: 'dev1' });
    await (await broker.connect(certificate, { clientId: 'dev1' })).endAsync();
  });

  it('that are revoked are refused', async () => {
    const certificate = await broker.pki.issue('dev1');
    await (await broker.connect(certificate, { clientId: 'dev1' })).endAsync();
    const [answer] = await broker.control({
      command: 'revokeCertificates',
      serials: [certificate.serialHex],
    });
    expect(answer?.error).toBeUndefined();
    await expect(broker.connect(certificate, { clientId: 'dev1' })).rejects.toThrow();
  });
});

describe.skipIf(!has('openssl', 'mosquitto'))('Certificates at a real Mosquitto', () => {
  let pki: TestPki;
  let mosquitto: RealMosquitto;
  let admin: DynsecClient;
  beforeEach(async () => {
    pki = await TestPki.create();
    const server = await pki.issue('broker', { usage: 'serverAuth' });
    mosquitto = await startMosquitto(adminState(), {
      tls: { ca: pki.ca.certFile, cert: server.certFile, key: server.keyFile },
    });
    admin = createDynsecClient({ url: mosquitto.url, ...adminLogin });
    await admin.send(device);
  });
  afterEach(async () => {
    await admin.close();
    await mosquitto.stop();
    await pki.remove();
  });

  async function connect(name: string): Promise<MqttClient> {
    const { cert, key } = await pki.issue(name);
    return connectAsync({
      protocol: 'mqtts',
      host: '127.0.0.1',
      port: mosquitto.tlsPort,
      protocolVersion: 5,
      reconnectPeriod: 0,
      clientId: name,
      ca: pki.ca.cert,
      cert,
      key,
    });
  }

  const publish = (client: MqttClient): Promise<unknown> =>
    client.publishAsync('up/x', 'x', { qos: 1 });

  it('of an unknown identity are let in, without any right', async () => {
    const stranger = await connect('stranger');
    await expect(publish(stranger)).rejects.toThrow('Not authorized');
    await stranger.endAsync(true);
  });

  it('of a disabled client are let in again, with its rights; not after a suspension as Keyline sends it', async () => {
    await admin.send([{ command: 'disableClient', username: 'dev1' }]);
    const disabled = await connect('dev1');
    await publish(disabled);
    const cut = new Promise((resolve) => disabled.once('close', () => resolve('cut')));
    await admin.send(suspension);
    expect(await cut).toBe('cut');
    const suspended = await connect('dev1');
    await expect(publish(suspended)).rejects.toThrow('Not authorized');
    await suspended.endAsync(true);
  });

  it('administer it over mTLS too', async () => {
    await admin.send([
      { command: 'createClient', username: 'ca' },
      { command: 'addClientRole', username: 'ca', rolename: 'admin' },
    ]);
    const { cert, key } = await pki.issue('ca');
    const overTls = createDynsecClient({
      url: `mqtts://127.0.0.1:${mosquitto.tlsPort}`,
      credentials: () => ({
        ca: pki.ca.cert.toString(),
        cert: cert.toString(),
        key: key.toString(),
      }),
    });
    try {
      const [answer] = await overTls.send([{ command: 'getClient', username: 'dev1' }]);
      expect(answer?.data).toMatchObject({ client: { username: 'dev1' } });
    } finally {
      await overTls.close();
    }
  });
});
