// Steps 1 and 2: the offline root, the intermediate, and the services that `keyline up` starts on them.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectStatus, must } from '../../test/support/answers.ts';
import { MqttDevice } from '../../test/support/mqtt-device.ts';
import { openssl } from '../../test/support/openssl.ts';
import type { World } from './world.ts';

export async function showRoot({ screen, keyline, hasOpenssl }: World): Promise<void> {
  screen.step('An offline root signs the intermediate');
  const root = join(keyline.data, 'root');
  const key = join(root, 'root.key');
  const rootCertificate = join(root, 'root.crt');
  const intermediate = join(root, 'issuing.crt');

  await screen.verify('keyline-root made the root, its key encrypted', async () => {
    await untilThere(key, keyline);
    await untilThere(rootCertificate, keyline);
    const pem = readFileSync(key, 'utf8');
    const passphrase = readFileSync(join(keyline.data, 'secrets', 'root.pass'), 'utf8').trim();
    must(!opens(pem, ''), `${key} opens without its passphrase.`);
    must(opens(pem, passphrase), `${key} does not open with its passphrase.`);
    must((statSync(key).mode & 0o077) === 0, `Others may read ${key}.`);
    return 'opens with its passphrase only';
  });
  await screen.verify('it signed the intermediate from its CSR', async () => {
    await untilThere(intermediate, keyline);
    const certificate = new X509Certificate(readFileSync(intermediate));
    const issuer = new X509Certificate(readFileSync(rootCertificate));
    must(
      certificate.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey),
      'The intermediate does not verify against the root.',
    );
    return nameOf(certificate.subject);
  });
  if (hasOpenssl) {
    await screen.verify('openssl verify -x509_strict is content', async () => {
      await openssl(['verify', '-x509_strict', '-CAfile', rootCertificate, intermediate]);
    });
  }
  await screen.verify('the ceremony is on record', async () => {
    const transcript = join(root, 'transcript.jsonl');
    const read = (): string[] => readFileSync(transcript, 'utf8').trim().split('\n');
    // Written after what it tells of.
    await until(() => read().length >= 2, keyline);
    return `root/transcript.jsonl, ${read().length} entries`;
  });
}

export async function showServices(world: World): Promise<void> {
  const { screen, keyline, fleet } = world;
  screen.step('The issuing CA and the broker start');
  await screen.verify('keyline up: both serve', () => keyline.ready);
  const { api, http, broker } = keyline.endpoints;
  await screen.verify('the API, with a certificate of Keyline itself', async () => {
    expectStatus(await fleet.admin.get('/readyz'), 200);
    return api;
  });
  await screen.verify('its documentation, /docs', async () => {
    expectStatus(await fleet.admin.get('/docs'), 200, 302);
    const { body } = expectStatus(await fleet.admin.get('/openapi.json'), 200);
    return `OpenAPI ${body.openapi}, ${Object.keys(body.paths).length} paths`;
  });
  await screen.verify('CRL and OCSP, over plain HTTP', async () => {
    const { body } = expectStatus(await fleet.admin.get('/v1/authorities'), 200);
    for (const { crl } of body.items.filter(
      (authority: { role: string }) => authority.role === 'issuing',
    )) {
      must((await fetch(crl.url)).status === 200, `There is no CRL at ${crl.url}.`);
    }
    return http;
  });
  await screen.verify('the broker: no certificate, no entry', async () => {
    const nobody = { id: 'nobody', certificate: '', key: '' };
    const why = await MqttDevice.whyRefused(fleet.broker, nobody, { cert: [], key: [] });
    must(why !== undefined, 'It let a client in that has no certificate.');
    return broker;
  });
}

function opens(pem: string, passphrase: string): boolean {
  try {
    createPrivateKey({ key: pem, passphrase });
    return true;
  } catch {
    // Why it does not open is not asked here.
    return false;
  }
}

function untilThere(file: string, keyline: World['keyline']): Promise<void> {
  return until(() => existsSync(file), keyline);
}

/** @throws {Error} when Keyline serves or has ended and it still does not hold */
async function until(holds: () => boolean, keyline: World['keyline']): Promise<void> {
  const start = { isOver: false };
  const ready = keyline.ready.finally(() => (start.isOver = true));
  ready.catch(() => undefined);
  while (!holds()) {
    if (start.isOver) {
      await ready;
      must(holds(), 'Keyline started without it.');
    }
    await sleep(25);
  }
}

/** `CN=…` of a name as Node prints it, one attribute a line. */
function nameOf(subject: string): string {
  return subject.split('\n').at(-1) ?? subject;
}
