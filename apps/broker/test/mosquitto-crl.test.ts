// Revocation at a real Mosquitto: a CRL that holds reaches it, by SIGHUP or by a restart, and one that does not never does.
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deniedRole } from '@keyline/targets';
import { findCommand, has } from '../../../test/support/needs.ts';
import { MosquittoBroker, publish } from './support/mosquitto-broker.ts';
import { CrlServer } from './support/mosquitto-crl.ts';
import type { TestCertificate } from './support/test-pki.ts';

const patience = { timeout: 60_000, interval: 20 };
async function waitFor(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patience.timeout;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('waited in vain');
  }
}

const lasting = { clean: false, properties: { sessionExpiryInterval: 3600 } };

describe.skipIf(!has('openssl', 'mosquitto'))('A CRL', () => {
  let broker: MosquittoBroker;
  let good: TestCertificate;
  let bad: TestCertificate;

  beforeEach(async () => {
    broker = await MosquittoBroker.prepare();
    [good, bad] = await Promise.all([broker.pki.issue('good'), broker.pki.issue('bad')]);
  });
  afterEach(() => broker.stop());

  async function open(): Promise<void> {
    await broker.open();
    await broker.control(
      {
        command: 'createRole',
        rolename: 'device',
        acls: [
          { acltype: 'subscribePattern', topic: 'plant/#', allow: true },
          { acltype: 'publishClientReceive', topic: 'plant/#', allow: true },
          { acltype: 'publishClientSend', topic: 'plant/#', allow: true },
        ],
      },
      ...['good', 'bad'].flatMap((username) => [
        { command: 'createClient', username },
        { command: 'addClientRole', username, rolename: 'device' },
      ]),
    );
  }

  const written = (): Promise<string> => readFile(broker.file('crl.pem'), 'utf8');
  const refused = /alert certificate revoked|closed|ECONNRESET/i;

  it('is made known by SIGHUP while no session is offline: who is connected stays, the revoked is refused', async () => {
    await open();
    const pid = await broker.pid();
    const session = await broker.connect(good);
    expect(await broker.whyRefused(bad)).toBeUndefined();
    await broker.crl.publish({ number: 2, revoked: [bad] });
    await expect.poll(() => broker.whyRefused(bad), patience).toMatch(refused);
    expect(await broker.pid()).toBe(pid);
    expect(await publish(session, 'plant/x')).toBe('accepted');
    expect(broker.said('reloaded')).toHaveLength(1);
    expect(await broker.metric('keyline_broker_crl_number{crl="test.crl"}')).toBe('2');
    expect(await broker.metric('keyline_broker_crl_revoked{crl="test.crl"}')).toBe('1');
    expect(await broker.metric('keyline_broker_crl_waiting')).toBe('0');
  });

  it.each(['1.2', '1.3'] as const)(
    'is said to be in force only when who it revokes is refused, however often it changes (TLS %s)',
    async (minVersion) => {
      await broker.open({ tls: { minVersion } });
      const revoked: TestCertificate[] = [];
      const named = 'keyline_broker_crl_number{crl="test.crl"}';
      await expect.poll(() => broker.metric(named), patience).toBe('1');
      for (let number = 2; number <= 4; number += 1) {
        const next = await broker.pki.issue(`next-${number}`);
        expect(await broker.whyRefused(next)).toBeUndefined();
        revoked.push(next);
        await broker.crl.publish({ number, revoked });
        await waitFor(async () => (await broker.metric(named)) === String(number));
        // No second try: what was said holds.
        for (const each of revoked) expect(await broker.whyRefused(each)).toMatch(refused);
        expect(await broker.whyRefused(good)).toBeUndefined();
      }
      expect(broker.said('CRL in force').length).toBeGreaterThanOrEqual(4);
      expect(broker.said('CRL not in force')).toEqual([]);
    },
  );

  it('ends the session of a denied device that came back while it was on its way', async () => {
    await open();
    await broker.control({
      command: 'modifyClient',
      username: 'bad',
      roles: [{ rolename: deniedRole }],
      groups: [],
    });
    const back = await broker.connect(bad, { clientId: 'bad' });
    const ended = new Promise<void>((resolve) => back.once('close', () => resolve()));
    expect(await publish(back, 'plant/x')).toBe('refused');
    await broker.crl.publish({ number: 2, revoked: [bad] });
    await ended;
    expect(await broker.whyRefused(bad)).toMatch(refused);
  });

  it('is made known at once by SIGHUP to a version that bears it', async () => {
    // Debian's 2.0 that calls itself 2.1; nobody is offline, so that it bears it too.
    const wrapper = join(broker.pki.folder, 'mosquitto-2.1');
    const real = findCommand('mosquitto')!;
    await writeFile(
      wrapper,
      `#!/bin/sh\n[ "$1" = -h ] && echo 'mosquitto version 2.1.2' && exit\nexec ${real} "$@"\n`,
    );
    // It is run as another user when this is root.
    await Promise.all([chmod(broker.pki.folder, 0o755), chmod(wrapper, 0o755)]);
    await broker.open({ mosquitto: wrapper });
    const pid = await broker.pid();
    expect(await broker.whyRefused(bad)).toBeUndefined();
    await broker.crl.publish({ number: 2, revoked: [bad] });
    await expect.poll(() => broker.said('reloaded').length, patience).toBe(1);
    await expect.poll(() => broker.whyRefused(bad), patience).toMatch(refused);
    expect(broker.said('reload waits')).toEqual([]);
    expect(await broker.pid()).toBe(pid);
  });

  it('is made known by a restart while a session is offline (SIGHUP could crash 2.0), and the session keeps its messages', async () => {
    await open();
    const pid = await broker.pid();
    const absent = await broker.connect(good, lasting);
    await absent.subscribeAsync('plant/#', { qos: 1 });
    await absent.endAsync();
    const sender = await broker.connect(bad);
    await publish(sender, 'plant/x', 'kept');
    await sender.endAsync();
    await broker.crl.publish({ number: 2, revoked: [bad] });
    await expect.poll(() => broker.said('mosquitto serving').length, patience).toBe(2);
    expect(await broker.pid()).not.toBe(pid);
    expect(await broker.whyRefused(bad)).toMatch(refused);
    expect(broker.said('reloaded')).toEqual([]);
    expect(await broker.metric('keyline_broker_restarts_total{why="asked"}')).toBe('1');
    const texts: string[] = [];
    const back = await broker.connect(good, {
      ...lasting,
      properties: { ...lasting.properties, receiveMaximum: 10 },
    });
    back.on('message', (_topic, payload) => texts.push(payload.toString()));
    await expect.poll(() => texts, patience).toEqual(['kept']);
  });

  it('with new times only waits for a quiet moment', async () => {
    await open();
    const pid = await broker.pid();
    await (await broker.connect(good, lasting)).endAsync();
    await broker.crl.publish({ number: 2 });
    await expect.poll(() => broker.said('reload waits').length, patience).toBe(1);
    // Two rounds of Mosquitto's figures.
    await sleep(4500);
    expect(await broker.metric('keyline_broker_crl_waiting')).toBe('1');
    expect(await broker.pid()).toBe(pid);
    // It is back, so nobody is offline.
    await broker.connect(good, { clean: true });
    await expect.poll(() => broker.metric('keyline_broker_crl_waiting'), patience).toBe('0');
    expect(await broker.pid()).toBe(pid);
    expect(broker.said('reloaded')).toHaveLength(1);
  });

  it('that does not hold is never written', async () => {
    await broker.crl.publish({ number: 7, revoked: [bad] });
    await broker.open();
    const before = await written();
    const ca = await broker.pki.createOtherCa();
    const forged = Buffer.from(await broker.crl.make({ number: 8 }));
    forged[forged.length - 5]! ^= 0xff;
    const cases: readonly (readonly [Uint8Array, RegExp])[] = [
      [Buffer.from('not a CRL'), /DER_MALFORMED/],
      [await broker.crl.make({ number: 8, ca }), /issuer is not in the CA bundle/],
      [forged, /signature is not of the issuer/],
      [
        await broker.crl.make({ number: 8, nextUpdate: '20250601000000Z' }),
        /ended at 2025-06-01T00:00:00Z \(nextUpdate\)/,
      ],
      [
        await broker.crl.make({ number: 8, lastUpdate: '20900101000000Z' }),
        /begins at 2090-01-01T00:00:00Z \(thisUpdate\), in the future/,
      ],
      [await broker.crl.make({ number: 6 }), /number 6 is older than 7/],
    ];
    for (const [index, [body, why]] of cases.entries()) {
      broker.crl.serve(body);
      await expect.poll(() => broker.said('CRL not taken').length, patience).toBe(index + 1);
      expect(broker.said('CRL not taken').at(-1)?.['error']).toMatch(why);
    }
    expect(await written()).toBe(before);
    expect(await broker.whyRefused(good)).toBeUndefined();
    expect(await broker.whyRefused(bad)).toMatch(refused);
    expect(broker.said('reload waits')).toEqual([]);
  });

  it('is waited for before anybody is served, and its last one is enough for the next start', async () => {
    broker.crl.withdraw();
    const opening = broker.open();
    await expect.poll(() => broker.said('waiting for CRL').length, patience).toBe(1);
    expect(broker.said('mosquitto serving')).toEqual([]);
    await broker.crl.publish({ number: 3, revoked: [bad] });
    await opening;
    expect(await broker.whyRefused(bad)).toMatch(refused);
    await broker.close();
    broker.crl.withdraw();
    await broker.open();
    expect(await broker.whyRefused(bad)).toMatch(refused);
    expect(await broker.whyRefused(good)).toBeUndefined();
  });

  it('of a new authority is found in the list of addresses, and its devices are let in when it and the CA bundle are there', async () => {
    const ca = await broker.pki.createOtherCa();
    const newcomer = await broker.pki.issue('newcomer', { ca });
    const second = await CrlServer.start(broker.pki);
    try {
      const crlUrlsFile = join(broker.data, 'crls.txt');
      await writeFile(crlUrlsFile, `${broker.crl.url}\n`);
      await broker.open({ crlUrls: [], crlUrlsFile });
      expect(await broker.whyRefused(newcomer)).toMatch(/unknown ca|closed|ECONNRESET/i);
      await second.publish({ number: 1, ca });
      await writeFile(crlUrlsFile, `${broker.crl.url}\n${second.url}\n`);
      await writeFile(broker.pki.ca.certFile, Buffer.concat([broker.pki.ca.cert, ca.cert]));
      await expect.poll(() => broker.whyRefused(newcomer), patience).toBeUndefined();
      expect(await broker.whyRefused(good)).toBeUndefined();
      await second.publish({ number: 2, ca, revoked: [newcomer] });
      await expect.poll(() => broker.whyRefused(newcomer), patience).toMatch(refused);
    } finally {
      await second.stop();
    }
  });

  it('is warned of long before it ends', async () => {
    const inAnHour = new Date(Date.now() + 3_600_000);
    const nextUpdate = `${inAnHour.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
    await broker.crl.publish({ number: 2, nextUpdate });
    await broker.open();
    await expect.poll(() => broker.said('CRL ends').length, patience).toBe(1);
    expect(broker.said('CRL ends')[0]?.msg).toMatch(
      /ends in 59m .*from then on Mosquitto refuses every device/,
    );
  });
});
