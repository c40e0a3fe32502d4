// Client certificates of every kind in the handshake, over TLS and WebSocket, against the broker as it is shipped: signed by the CA
// that it trusts, and wrong in their parts.
import { createPrivateKey, sign } from 'node:crypto';
import { connect, createSecureContext } from 'node:tls';
import { encodePacket } from '@keyline/mqtt';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MqttDevice } from '../support/mqtt-device.ts';
import { BrokerParts, BrokerProcess } from './support/broker-process.ts';
import { bendTree, element, readTree, writeTree, type Node } from './support/der-tree.ts';
import { Dice } from './support/dice.ts';
import { fuzz, fuzzTimeout, isLongRun } from './support/fuzz.ts';
import { Vitals } from './support/vitals.ts';
import type { TestCertificate } from '../../apps/broker/test/support/test-pki.ts';

const rounds = 60;
const handshakesAtOnce = 6;
const patience = 5000;

let parts: BrokerParts;
let broker: BrokerProcess;
let healthy: MqttDevice;
let vitals: Vitals;
let leaf: TestCertificate;

beforeAll(async () => {
  parts = await BrokerParts.create();
  broker = await BrokerProcess.serve(parts);
  healthy = await MqttDevice.connect(broker.address, await broker.device('healthy'));
  await healthy.subscribe('healthy/echo');
  await broker.device('rogue');
  leaf = await parts.pki.issue('rogue');
  vitals = new Vitals(
    {
      name: 'the broker',
      pid: () => broker.pid,
      death: () => (broker.isAlive ? undefined : broker.end),
      serve: async () => {
        await healthy.publish('healthy/echo', 'still there');
        expect(await healthy.take('healthy/echo')).toBe('still there');
      },
      metrics: () => broker.metrics(),
      errors: () => broker.lines.filter(({ level }) => level >= 50),
    },
    isLongRun,
  );
});

afterAll(async () => {
  console.log(vitals.report());
  vitals.close();
  await healthy.close();
  await broker.stop();
  await parts.remove();
});

const derOf = (pem: Buffer): Buffer =>
  Buffer.from(pem.toString().replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');

const pemOf = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

const publicKeyAlgorithm = Buffer.from('06072a8648ce3d0201', 'hex');

const holdsKey = (node: Node): boolean =>
  'children' in node && writeTree(node).includes(publicKeyAlgorithm) && node.children.length === 2;

/** A certificate whose parts are bent and whose signature is right; the key stays, or nobody could use it. */
function bentCertificate(dice: Dice): string {
  const certificate = readTree(derOf(leaf.cert));
  if (!('children' in certificate)) throw new Error('a certificate is a SEQUENCE');
  const [tbs, algorithm] = certificate.children;
  if (tbs === undefined || !('children' in tbs) || algorithm === undefined)
    throw new Error('no TBSCertificate');
  bendTree(tbs, dice, holdsKey);
  const tbsDer = writeTree(tbs);
  const key = createPrivateKey(parts.pki.ca.key);
  const signature = dice.happens(0.9) ? sign('sha256', tbsDer, key) : dice.bytes(70);
  const bits = element(0x03, Buffer.concat([Buffer.of(0), signature]));
  return pemOf(element(0x30, Buffer.concat([tbsDer, writeTree(algorithm), bits])));
}

/** OpenSSL sends no certificate that it can't read itself. */
function isUsable(cert: string): boolean {
  try {
    createSecureContext({ cert, key: leaf.key });
    return true;
  } catch {
    return false;
  }
}

const upgrade = [
  ...['GET /mqtt HTTP/1.1', 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade'],
  ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13'],
  ...['Sec-WebSocket-Protocol: mqtt', '', ''],
].join('\r\n');

/** A handshake, then a CONNECT, on either listener, in either version of TLS. */
async function shakeHands(cert: string, dice: Dice): Promise<boolean> {
  const overWebSocket = dice.happens(0.4);
  const version = dice.pick(['TLSv1.2', 'TLSv1.3'] as const);
  const { port, webSocketPort } = broker.ports;
  const socket = connect({
    host: '127.0.0.1',
    port: overWebSocket ? webSocketPort : port,
    ca: parts.pki.ca.cert,
    cert,
    key: leaf.key,
    minVersion: version,
    maxVersion: version,
  });
  socket.on('error', () => undefined);
  let isAnswered = false;
  const ended = new Promise((resolve) => socket.once('close', resolve));
  socket.once('data', () => {
    isAnswered = true;
    socket.destroy();
  });
  socket.once('secureConnect', () => {
    socket.write(
      overWebSocket
        ? upgrade
        : encodePacket(
            { type: 'connect', protocolVersion: 5, clean: true, keepAlive: 0, clientId: '' },
            5,
          ),
    );
  });
  socket.setTimeout(patience, () => socket.destroy());
  await ended;
  return isAnswered;
}

it(
  'survives every client certificate that a peer can send, and serves others meanwhile',
  { timeout: fuzzTimeout },
  async () => {
    await vitals.look();
    let tried = 0;
    let answered = 0;
    await fuzz('client-certificates', rounds, async (dice, round) => {
      const certificates: [string, Dice][] = [];
      while (certificates.length < handshakesAtOnce) {
        const cert = bentCertificate(dice);
        if (isUsable(cert)) certificates.push([cert, new Dice(dice.seed())]);
      }
      const results = await Promise.all(certificates.map(([cert, own]) => shakeHands(cert, own)));
      tried += results.length;
      answered += results.filter(Boolean).length;
      vitals.assertLife();
      if (round % 10 === 0) await vitals.look();
    });
    await vitals.look();
    console.log(
      `fuzz client-certificates: ${tried} handshakes, ${answered} with an answer behind them`,
    );
    // Were none let through the handshake, nothing of ours would have looked at them.
    if (tried > 100) expect(answered).toBeGreaterThan(0);
    const value = await broker.metrics();
    expect(value('keyline_broker_faults_total')).toBe(0);
    expect(value('keyline_broker_connection_failures_total')).toBe(0);
  },
);
