// Connect kits: all that a program needs to connect as an identity, as a folder or as one zip file.
import { readdir, rm, stat } from 'node:fs/promises';
import { basename, join, relative, sep } from 'node:path';
import type { BrokerAccessView } from '@keyline/api';
import {
  createFolder,
  readText,
  replaceFile,
  writeNewFile,
  writeNewFolder,
  type NewFile,
} from '@keyline/files';
import { KeylineError, type Clock } from '@keyline/kernel';
import { loadPlainKey } from '@keyline/keys';
import { createBrokerFile, createKit, createZip, type KitFacts } from '@keyline/kit';
import { decodePemChain, parseCertificate } from '@keyline/x509';
import { createClient } from './api-client.ts';
import { loadCertificateCaller } from './caller.ts';
import { deviceFilesOf, type DeviceFiles } from './device-files.ts';
import { assertIsFor } from './device-key.ts';
import { settleRenewal } from './renew.ts';
import type { ServiceLocation } from './service-location.ts';

export interface KitIdentity {
  readonly id: string;
  readonly kind: 'device' | 'service';
  readonly broker: BrokerAccessView;
  /** Leaf, and what follows it; PEM. */
  readonly certificate: string;
}

/** @param api https:// address of the service */
export function kitFactsOf(identity: KitIdentity, files: DeviceFiles, api: string): KitFacts {
  const { id, kind, broker, certificate } = identity;
  const [leaf = new Uint8Array()] = decodePemChain(certificate);
  const { crlDistributionPoints, ocspUrls } = parseCertificate(leaf);
  return {
    ...{ id, kind },
    broker:
      broker.name === null || broker.url === null
        ? undefined
        : {
            ...{ name: broker.name, url: broker.url, clientId: broker.clientId },
            ...{ userName: broker.userName, topics: broker.topics },
            websocketUrl: broker.websocketUrl ?? undefined,
          },
    files: {
      key: basename(files.key),
      certificate: basename(files.certificate),
      trust: basename(files.ca),
      brokerTrust: basename(typeof broker.trust === 'string' ? files.brokerCa : files.ca),
    },
    addresses: { api, renew: `${api}/v1/renew`, crl: crlDistributionPoints, ocsp: ocspUrls },
  };
}

/**
 * Everything but key and certificate, beside them.
 * @param given.trust of the service, PEM
 */
export async function writeConnection(given: {
  readonly identity: KitIdentity;
  readonly files: DeviceFiles;
  readonly folder: string;
  readonly api: string;
  readonly trust: string;
  /** Whether the settings of clients are written too. */
  readonly isKit: boolean;
}): Promise<void> {
  const { identity, files, folder, api, isKit } = given;
  const mode = isKit ? 0o600 : 0o644;
  for (const { path, content } of connectionFiles({
    ...given,
    facts: kitFactsOf(identity, files, api),
  })) {
    const file = join(folder, path);
    if (path.includes('/')) await createFolder(join(file, '..'), 0o700);
    await replaceFile(file, content, { mode });
  }
}

function connectionFiles(given: {
  readonly identity: KitIdentity;
  readonly facts: KitFacts;
  readonly trust: string;
  readonly isKit: boolean;
}): { readonly path: string; readonly content: string }[] {
  const { identity, facts, trust, isKit } = given;
  const foreign = identity.broker.trust;
  return [
    { path: facts.files.trust, content: trust },
    ...(typeof foreign !== 'string' ? [] : [{ path: facts.files.brokerTrust, content: foreign }]),
    ...(isKit ? createKit(facts) : [{ path: 'broker.json', content: createBrokerFile(facts) }]),
  ];
}

export interface MakeKit {
  readonly service: ServiceLocation;
  readonly id: string;
  /** Where ID.key and ID.crt are. */
  readonly from: string;
  /** A folder, or a file that ends in .zip; nothing may be there yet. Absolute. */
  readonly out: string;
  /** A broker of targets.yaml; absent: that of its type. */
  readonly broker?: string | undefined;
  readonly clock: Clock;
}

/**
 * A kit of an identity that has its certificate already; it asks for itself.
 * @throws {KeylineError} FILE_EXISTS, FILE_NOT_FOUND, FILE_UNREADABLE; what the service answers; SERVICE_UNREACHABLE
 */
export async function makeKit(given: MakeKit): Promise<KitIdentity> {
  const { service, id, from, out, broker, clock } = given;
  const source = deviceFilesOf(from, id);
  await assertKitPlaceFree(out);
  await settleRenewal(source);
  const certificate = await readText(source.certificate, 'the certificate');
  assertIsFor(await loadPlainKey(source.key), certificate);
  const client = createClient(service, await loadCertificateCaller(source.certificate, source.key));
  try {
    const answer = await client.call('getConnection', {
      params: { id },
      query: broker === undefined ? {} : { broker },
    });
    const trust = await client.getText('/v1/trust-bundle');
    const identity = { id, kind: answer.kind, broker: answer.broker, certificate };
    const names = deviceFilesOf('', id, 'kit');
    const facts = kitFactsOf(identity, names, service.api);
    const files: NewFile[] = [
      ...connectionFiles({ identity, facts, trust, isKit: true }),
      { path: names.certificate, content: certificate },
      { path: names.key, content: await readText(source.key, 'the private key') },
    ].map((file) => ({ ...file, mode: 0o600 }));
    await (isZip(out) ? writeZip(out, { id, files, clock }) : writeNewFolder(out, files));
    return identity;
  } finally {
    client.close();
  }
}

/** The files of a folder as one zip file, in a folder of the identity's name. @throws {KeylineError} FILE_EXISTS, FILE_UNREADABLE */
async function writeZip(
  out: string,
  { id, files, clock }: { id: string; files: readonly NewFile[]; clock: Clock },
): Promise<void> {
  const entries = files.map((file) => ({ ...file, path: `${id}/${file.path}` }));
  await writeNewFile(out, createZip(entries, clock.now()), { mode: 0o600 });
}

/** All that is in a folder as one zip file; the folder is gone then. @throws {KeylineError} FILE_EXISTS, FILE_UNREADABLE */
export async function packFolder(
  folder: string,
  { zip, id, clock }: { zip: string; id: string; clock: Clock },
): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  await writeZip(zip, {
    ...{ id, clock },
    files: await Promise.all(
      files.map(async ({ parentPath, name }) => {
        const path = join(parentPath, name);
        const content = await readText(path, 'a file of the kit');
        return { path: relative(folder, path).replaceAll(sep, '/'), content, mode: 0o600 };
      }),
    ),
  });
  await rm(folder, { recursive: true, force: true });
}

export function isZip(path: string): boolean {
  return path.toLowerCase().endsWith('.zip');
}

/** Before anything is asked: a token may be good for one use. @throws {KeylineError} FILE_EXISTS */
export async function assertKitPlaceFree(out: string): Promise<void> {
  const isTaken = await stat(out).then(
    (found) => isZip(out) || !found.isDirectory(),
    () => false,
  );
  if (!isTaken) return;
  throw new KeylineError(
    'FILE_EXISTS',
    `${out} exists already and is not overwritten. Move it away, or choose another place.`,
  );
}
