// The folder of an issuing CA, with a database, an encrypted key and what lies beside them: as small as a backup needs it.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Secret } from '@keyline/kernel';
import { createSigner, encryptPrivateKey, generateKey } from '@keyline/keys';
import { createIssuingCertificate, createRootCertificate, parseCsr } from '@keyline/pki';
import { createSqliteStore } from '@keyline/store';
import { createCsr, encodePem } from '@keyline/x509';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';

export interface MadeFolder {
  readonly top: string;
  readonly ca: string;
  readonly passphrase: Secret;
  /** Of the backups; quick, as no passphrase is. */
  readonly recipient: string;
  readonly identity: Secret;
  remove(): Promise<void>;
}

const year = 365 * 24 * 3600 * 1000;

export async function makeCaFolder(): Promise<MadeFolder> {
  const top = await mkdtemp(join(tmpdir(), 'keyline-backup-'));
  const ca = join(top, 'ca');
  const passphrase = new Secret('a passphrase of the issuing key');
  await mkdir(join(ca, 'authorities'), { recursive: true });
  await writeFile(join(top, 'ca.pass'), `${passphrase.reveal()}\n`, { mode: 0o600 });
  await writeFile(
    join(ca, 'ca.json'),
    JSON.stringify({ version: 1, httpUrl: 'http://127.0.0.1:8080', passphraseFile: '../ca.pass' }),
  );
  const root = createSigner(generateKey('ec-p256'));
  const now = Date.now();
  const rootDer = await createRootCertificate({
    ...{ signer: root, commonName: 'Test Root', now, validity: 10 * year },
  });
  const key = generateKey('ec-p256');
  const csr = await createCsr({ signer: createSigner(key), commonName: 'Test Issuing' });
  const issuing = await createIssuingCertificate({
    root: { certificateDer: rootDer, signer: root },
    csr: parseCsr(encodePem('CERTIFICATE REQUEST', csr)),
    now,
    validity: 5 * year,
  });
  await writeFile(join(ca, 'authorities', 'issuing-1.key'), encryptPrivateKey(key, passphrase), {
    mode: 0o600,
  });
  createSqliteStore(join(ca, 'keyline.db'));
  const db = new DatabaseSync(join(ca, 'keyline.db'));
  db.prepare(
    "INSERT INTO authorities (id, state, certificate, root, crl_shards, created_at) VALUES ('issuing-1', 'active', ?, ?, '[]', 1)",
  ).run(Buffer.from(issuing), Buffer.from(rootDer));
  db.prepare(
    "INSERT INTO ledger (seq, at, actor, subject, data) VALUES (1, 1700000000000, 'keyline', 'x', '{}')",
  ).run();
  db.close();
  const identity = await generateX25519Identity();
  return {
    ...{ top, ca, passphrase },
    recipient: await identityToRecipient(identity),
    identity: new Secret(identity),
    remove: () => rm(top, { recursive: true, force: true }),
  };
}
