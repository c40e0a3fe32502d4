// Step 6: one device is revoked, and every place that can be asked says so.
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseCrl } from '@keyline/x509';
import { expectStatus, must } from '../../test/support/answers.ts';
import { MqttDevice } from '../../test/support/mqtt-device.ts';
import { openssl } from '../../test/support/openssl.ts';
import { deviceOf, sessionOf, type World } from './world.ts';

const victim = 'pump-2';

export async function showRevocation(world: World): Promise<void> {
  const { screen, fleet } = world;
  const { admin } = fleet;
  screen.step(`${victim} was stolen: revoke it`);
  const device = deviceOf(world, victim);
  const session = sessionOf(world, victim);
  const files = writeFiles(world);
  if (world.hasOpenssl) {
    await screen.verify('before: openssl ocsp says good', async () => {
      must((await askOcsp(files)).includes(': good'), 'The responder did not say good.');
    });
  }

  let crlUrl = '';
  await screen.verify('one call: POST /v1/devices/pump-2/revoke', async () => {
    const begun = performance.now();
    const request = { reason: 'keyCompromise', wait: true };
    const answer = await admin.post(`/v1/devices/${victim}/revoke`, request);
    const { evidence } = expectStatus(answer, 200).body;
    must(
      evidence.targets.every(({ done }: { done: boolean }) => done),
      'A broker is pending.',
    );
    must(evidence.ocsp?.status === 'revoked', 'OCSP does not have it.');
    must(typeof evidence.crl?.number === 'number', 'No CRL has it.');
    await session.untilEnded();
    const cut = Math.max(0, session.endedAt - begun);
    return `broker, OCSP and CRL ${evidence.crl.number} have it; session cut after ${cut.toFixed(0)} ms`;
  });
  await screen.verify('its live session was ended by the broker', () => {
    const { ended } = session;
    must(ended?.includes('152') === true, `It ended with: ${ended ?? 'nothing'}.`);
    return `${ended} (administrative action)`;
  });
  await screen.verify('it can not come back', async () => {
    const why = await MqttDevice.whyRefused(fleet.broker, device);
    must(why !== undefined, 'The broker let it in again.');
    return why;
  });
  await screen.verify('the API does not accept its certificate any more', async () => {
    const stolen = world.keyline.as(device);
    const answer = await stolen.post('/v1/renew', {});
    stolen.close();
    must(answer.status === 401, `It was answered with ${answer.status}.`);
    return answer.body.code;
  });
  await screen.verify('the CRL lists it (Node)', async () => {
    const { body } = expectStatus(await admin.get('/v1/authorities'), 200);
    crlUrl = body.items.find(({ role }: { role: string }) => role === 'issuing').crl.url;
    const crlDer = Buffer.from(await (await fetch(crlUrl)).arrayBuffer());
    writeFileSync(files.crl, crlDer);
    const issuer = new X509Certificate(device.issuer);
    must(isListed(crlDer, device.serial), `${device.serial} is not in ${crlUrl}.`);
    return `${crlUrl}, signed by ${issuer.subject.split('\n').at(-1) ?? ''}`;
  });
  if (world.hasOpenssl) await checkWithOpenssl(world, { ...files, serial: device.serial });
  else screen.note('There is no openssl on this machine: OCSP and CRL were checked by Node alone.');
  await screen.verify('the others go on working', async () => {
    for (const id of ['pump-1', 'pump-3']) {
      must(
        (await sessionOf(world, id).publish(`devices/${id}/telemetry`, '{}')) === 'accepted',
        `${id} can't.`,
      );
    }
  });
}

interface Files {
  readonly certificate: string;
  readonly issuer: string;
  readonly root: string;
  readonly crl: string;
  readonly ocsp: string;
}

function writeFiles(world: World): Files {
  const { certificate, issuer } = deviceOf(world, victim);
  const { ca, http } = world.keyline.endpoints;
  const at = (name: string): string => join(world.folder, name);
  const files = {
    certificate: at('pump-2.crt'),
    issuer: at('issuer.crt'),
    root: ca,
    crl: at('issuing.crl'),
    ocsp: `${http}/ocsp`,
  };
  writeFileSync(files.certificate, certificate);
  writeFileSync(files.issuer, issuer);
  return files;
}

function askOcsp({ certificate, issuer, root, ocsp }: Files): Promise<string> {
  return openssl([
    ...['ocsp', '-issuer', issuer, '-cert', certificate, '-url', ocsp],
    // The responder's certificate comes with the answer; the chain up to the root is checked.
    ...['-CAfile', root, '-verify_other', issuer],
  ]);
}

async function checkWithOpenssl(world: World, files: Files & { serial: string }): Promise<void> {
  const { screen } = world;
  await screen.verify('openssl ocsp says revoked', async () => {
    const said = await askOcsp(files);
    must(said.includes('Response verify OK'), `The answer does not verify: ${said}`);
    must(said.includes(': revoked'), `It said: ${said}`);
    return /Reason: (\w+)/.exec(said)?.[1] ?? 'no reason';
  });
  await screen.verify('openssl crl verifies the CRL and finds the serial', async () => {
    const crl = ['crl', '-inform', 'DER', '-in', files.crl];
    const said = await openssl([...crl, '-CAfile', files.issuer, '-noout', '-text']);
    must(said.includes('verify OK'), `The CRL does not verify: ${said.slice(0, 300)}`);
    must(said.toLowerCase().includes(files.serial), `${files.serial} is not listed.`);
    return /CRL Number:\s*(\d+)/.exec(said)?.[1] ?? '';
  });
  await screen.verify('openssl verify -crl_check refuses it', async () => {
    const pem = join(world.folder, 'issuing.crl.pem');
    await openssl(['crl', '-inform', 'DER', '-in', files.crl, '-out', pem]);
    const verify = ['verify', '-crl_check', '-CAfile', files.root, '-untrusted', files.issuer];
    const said = await openssl([...verify, '-CRLfile', pem, files.certificate]).catch(
      (error: unknown) => (error as Error).message,
    );
    must(said.includes('certificate revoked'), `It said: ${said}`);
    return 'certificate revoked';
  });
}

function isListed(crlDer: Uint8Array, serial: string): boolean {
  return parseCrl(crlDer).entries.some((entry) => entry.serial === serial);
}
