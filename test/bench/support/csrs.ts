// CSRs made beforehand, each with a key of its own, and kept in build/bench: making them is no part of any figure.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSigner, generateKey } from '@keyline/keys';
import { createCsr, encodePem } from '@keyline/x509';

const folder = join(import.meta.dirname, '../../../build/bench');

export interface NamedCsr {
  readonly id: string;
  readonly pem: string;
}

/** `count` P-256 CSRs whose CN is the id: `unit-000000`, `unit-000001`, … */
export async function loadCsrs(count: number): Promise<readonly NamedCsr[]> {
  const file = join(folder, 'csrs-p256.json');
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as NamedCsr[]) : [];
  if (known.length < count) {
    for (let i = known.length; i < count; i++) {
      const id = `unit-${String(i).padStart(6, '0')}`;
      const signer = createSigner(generateKey('ec-p256'));
      const der = await createCsr({ signer, commonName: id });
      known.push({ id, pem: encodePem('CERTIFICATE REQUEST', der) });
    }
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${file}.part`, JSON.stringify(known));
    renameSync(`${file}.part`, file);
  }
  return known.slice(0, count);
}
