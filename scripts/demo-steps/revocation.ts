// Step 6: one device is revoked, and every place that can be asked says so.
import { verify, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { encodeOcspQuestion, parseOcspStatus } from '@keyline/client';
import { parseCertificate, parseCrl } from '@keyline/x509';
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
  let cut = { after: 0, crl: 0 };
  await screen.verify('before: OCSP says good', () => expectOcsp(world, 'good'));
  await screen.verify('one call: POST /v1/devices/pump-2/revoke', async () => {
    const begun = performance.now();
    const request = { reason: 'keyCompromise', wait: true };
    const answer = await admin.post(`/v1/devices/${victim}/revoke`, request);
    const { evidence } = expectStatus(answer, 200).body;
    const targets: { done: boolean }[] = evidence.targets;
    must(
      targets.every(({ done }) => done),
      'A broker is pending.',
    );
    must(evidence.ocsp?.status === 'revoked', 'OCSP does not have it.');
    must(typeof evidence.crl?.number === 'number', 'No CRL has it.');
    cut = { after: begun, crl: evidence.crl.number };
    return 'durable, and in force everywhere';
  });
  await screen.verify('its live session was ended by the broker', async () => {
    const how = await session.untilEnded();
    must(how.includes('152'), `It ended with: ${how}.`);
    const milliseconds = Math.max(0, session.endedAt - cut.after);
    return `${how}, after ${milliseconds.toFixed(0)} ms`;
  });
  await screen.verify('it can not come back', async () => {
    const why = await MqttDevice.whyRefused(fleet.broker, device);
    must(why !== undefined, 'The broker let it in again.');
    // "Connection refused: Not authorized: The certificate of … is revoked. …": the sentence in the middle.
    const sentence = /[^:.]*is revoked/.exec(why)?.[0].trim() ?? why;
    return sentence.replace(/ \(serial [^)]*\)/, '');
  });
  await screen.verify('nor can it renew', async () => {
    const stolen = world.keyline.as(device);
    const answer = await stolen.post('/v1/renew', {});
    stolen.close();
    must(answer.status === 401, `It was answered with ${answer.status}.`);
    return answer.body.code;
  });
  await screen.verify('OCSP says revoked', () => expectOcsp(world, 'revoked'));
  await screen.verify('the CRL lists it', async () => {
    const url = await fleet.crlUrl();
    const crlDer = Buffer.from(await (await fetch(url)).arrayBuffer());
    writeFileSync(files.crl, crlDer);
    const { number, tbsDer, signature, entries } = parseCrl(crlDer);
    const { publicKey } = new X509Certificate(device.issuer);
    must(verify('sha256', tbsDer, publicKey, signature), 'The CRL does not verify.');
    must(Number(number) >= cut.crl, `${url} is still number ${number}.`);
    must(
      entries.some(({ serial }) => serial === device.serial),
      `${device.serial} is not in ${url}.`,
    );
    return `${url}, number ${number}`;
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

async function expectOcsp(world: World, verdict: string): Promise<string> {
  const { leaf, issuer } = deviceOf(world, victim);
  const parse = (pem: string) => parseCertificate(new X509Certificate(pem).raw);
  const url = `${world.keyline.endpoints.http}/ocsp`;
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request' },
    body: Buffer.from(encodeOcspQuestion(parse(leaf), parse(issuer))),
  });
  const status = parseOcspStatus(Buffer.from(await answer.arrayBuffer()));
  must(status === verdict, `${url} says ${status}.`);
  return url;
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
  await screen.verify('openssl ocsp verifies the answer: revoked', async () => {
    const said = await askOcsp(files);
    must(said.includes('Response verify OK'), `The answer does not verify: ${said}`);
    must(said.includes(': revoked'), `It said: ${said}`);
    return /Reason: (\w+)/.exec(said)?.[1] ?? 'no reason';
  });
  await screen.verify('openssl crl finds the serial', async () => {
    const crl = ['crl', '-inform', 'DER', '-in', files.crl];
    const said = await openssl([...crl, '-CAfile', files.issuer, '-noout', '-text']);
    must(said.includes('verify OK'), `The CRL does not verify: ${said.slice(0, 300)}`);
    must(said.toLowerCase().includes(files.serial), `${files.serial} is not listed.`);
    return 'verify OK';
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
