import { createSigner, generateKey } from '@keyline/keys';
import {
  createIssuer,
  parseCsr,
  createIssuingCertificate,
  createRootCertificate,
} from '@keyline/pki';
import { loadConfig } from '@keyline/config';
import { join } from 'node:path';
import type { Bench } from '../support/bench.ts';
import { loadCsrs } from '../support/csrs.ts';
import { bestOf } from '../support/rounds.ts';

const year = 365 * 24 * 3600 * 1000;

/** In this process, with the project's own device profile. */
export const issue: Bench = {
  id: 'issue',
  unit: 'certificates/CPU-s',
  means: 'In process: CSR parsed, its policy checked, certificate spliced and signed; no I/O.',
  reach: { atLeast: 0.75 },
  async run({ quick }) {
    const csrs = await loadCsrs(quick ? 2_000 : 20_000);
    const config = await loadConfig(join(import.meta.dirname, '../../../ca-config'));
    const now = Date.now();
    const rootSigner = createSigner(generateKey('ec-p256'));
    const rootDer = await createRootCertificate({
      signer: rootSigner,
      commonName: 'Bench Root',
      now,
      validity: 10 * year,
    });
    const signer = createSigner(generateKey('ec-p256'));
    const { createCsr } = await import('@keyline/x509');
    const certificateDer = await createIssuingCertificate({
      root: { certificateDer: rootDer, signer: rootSigner },
      csr: parseCsr(await createCsr({ signer, commonName: 'Bench Issuing CA' })),
      now,
      validity: 5 * year,
    });
    const issuer = await createIssuer(
      {
        id: 'issuing-1',
        certificateDer,
        signer,
        urls: {
          crl: 'http://127.0.0.1:8080/crl/issuing-1.crl',
          ocsp: 'http://127.0.0.1:8080/ocsp',
          caIssuers: 'http://127.0.0.1:8080/aia/issuing-1.cer',
        },
      },
      config.profiles,
    );
    // Rounds as long as those of L: the longer ones would more often meet what else the machine does.
    const perRound = 600;
    let next = 0;
    const { best, limit } = await bestOf(quick ? 15 : 60, async () => {
      const before = process.cpuUsage();
      for (let i = 0; i < perRound; i++) {
        const { id, pem } = csrs[next++ % csrs.length]!;
        const csr = parseCsr(pem);
        await issuer.issue({
          profile: 'device-client',
          id,
          type: 'default',
          labels: {},
          spkiDer: csr.spkiDer,
          algorithm: csr.algorithm,
          now: Date.now(),
        });
      }
      const { user, system } = process.cpuUsage(before);
      return perRound / ((user + system) / 1e6);
    });
    return { value: best, limit };
  },
};
