// A whole Keyline as `keyline up` starts it, with its embedded broker connected: an enrollment is pushed there before it is answered.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodePem } from '@keyline/x509';
import { startKeyline, type RunningKeyline } from '../../support/keyline.ts';
import { copyConfig, serviceEnvironment, type IssuingCa, type ServedCa } from './issuing-ca.ts';
import { cpuSecondsOf } from './process-figures.ts';

/** @param folder temporary. `cpuSeconds` is of the issuing CA's process alone. */
export async function serveKeyline(folder: string): Promise<ServedCa & Pick<IssuingCa, 'stop'>> {
  const config = join(folder, 'config');
  copyConfig(config);
  const options = { data: join(folder, 'keyline'), config };
  let keyline = await startKeyline(options);
  if ((process.env['PROFILE'] ?? process.env['PERF']) !== undefined) {
    // Not at the first start: the root's sandbox writes no profile.
    await keyline.stop();
    keyline = await startKeyline({ ...options, env: serviceEnvironment() });
  }
  return { ...(await seenAsCa(keyline)), stop: () => keyline.stop() };
}

/** A running one as the benches of the issuing CA see it; stopping it stays its starter's. */
export async function seenAsCa(keyline: RunningKeyline): Promise<ServedCa> {
  const { api, ca, admin: proof, pids } = keyline.endpoints;
  const trust = readFileSync(ca, 'utf8');
  const admin = keyline.asAdmin();
  const { body } = await admin.get('/v1/authorities');
  const authorities = body.items as { role: string; certificate: string }[];
  const issuing = authorities.find(({ role }) => role === 'issuing');
  if (issuing === undefined) throw new Error('there is no issuing authority');
  return {
    trust,
    issuingDer: Buffer.from(decodePem(issuing.certificate, 'CERTIFICATE')),
    admin,
    adminProof: {
      cert: readFileSync(proof.certificate, 'utf8'),
      key: readFileSync(proof.key, 'utf8'),
    },
    api: { host: '127.0.0.1', port: Number(new URL(api).port), tls: { ca: trust } },
    cpuSeconds: () => cpuSecondsOf(pids.ca),
  };
}
