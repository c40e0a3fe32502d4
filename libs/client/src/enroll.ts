// A device's or service's first certificate: the key is on the disk before anything is asked, the certificate is written last. Stopped
// anywhere, the same call again goes on from there: the same key gets the same certificate. Refused, it leaves nothing.
import { access, rmdir } from 'node:fs/promises';
import { readTextIfThere, createFolder, removeFile, replaceFile } from '@keyline/files';
import type { EnrollResponse } from '@keyline/api';
import { isKeylineError, KeylineError, type Clock } from '@keyline/kernel';
import type { KeyAlgorithm } from '@keyline/x509';
import { createClient, type ApiClient } from './api-client.ts';
import type { Caller } from './caller.ts';
import { assertKitPlaceFree, packFolder, writeConnection } from './kit.ts';
import { judgeClock, type ClockVerdict } from './certificate-clock.ts';
import { deviceFilesOf, type DeviceFiles } from './device-files.ts';
import { assertIsFor, createCsrPem, joinChain, keepKey, keyIn } from './device-key.ts';
import type { ServiceLocation } from './service-location.ts';

/** A kit in the folder, or in a zip file that is made of the folder (absolute). */
export type KitPlace = 'folder' | { readonly zip: string };

interface FirstCertificate {
  readonly service: ServiceLocation;
  readonly id: string;
  /** Made when it is missing. */
  readonly folder: string;
  /** Of a key that is made; one that is there is kept. */
  readonly algorithm: KeyAlgorithm;
  /** A duration such as `12h`; absent: what the profile gives. */
  readonly validity?: string | undefined;
  /** The broker it is to be told of; absent: that of its type. */
  readonly broker?: string | undefined;
  /** A connect kit instead of the files alone. */
  readonly kit?: KitPlace | undefined;
  readonly clock: Clock;
}

export interface EnrollDevice extends FirstCertificate {
  readonly token: string;
}

export interface CreateService extends FirstCertificate {
  /** An administrator or operator. */
  readonly caller: Caller;
  readonly role: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface EnrolledDevice {
  readonly answer: EnrollResponse;
  readonly files: DeviceFiles;
  /** It had been enrolled with this key already: an answer that was lost, or never written. */
  readonly isAgain: boolean;
  readonly clock: ClockVerdict;
}

/** @throws {KeylineError} FILE_EXISTS when it is enrolled from here already; what the service answers; SERVICE_UNREACHABLE; FILE_* */
export function enrollDevice(given: EnrollDevice): Promise<EnrolledDevice> {
  const { token } = given;
  return receive(given, { via: 'nothing' }, (client, { id, ...rest }) =>
    client.callWithStatus('enroll', { body: { id, ...rest, token } }),
  );
}

/** @throws {KeylineError} as `enrollDevice` */
export function createService(given: CreateService): Promise<EnrolledDevice> {
  const { caller, role, labels } = given;
  return receive(given, caller, (client, { id: name, ...rest }) =>
    client.callWithStatus('createService', {
      body: { name, role, labels: { ...labels }, ...rest },
    }),
  );
}

async function receive(
  given: FirstCertificate,
  caller: Caller,
  ask: (
    client: ApiClient,
    request: {
      readonly id: string;
      readonly csr: string;
      readonly validity?: string;
      readonly broker?: string;
    },
  ) => Promise<{ readonly status: number; readonly answer: EnrollResponse }>,
): Promise<EnrolledDevice> {
  const { service, id, folder, algorithm, validity, broker, kit, clock } = given;
  const files = deviceFilesOf(folder, id, kit === undefined ? 'files' : 'kit');
  if (kit !== undefined) await assertKitPlaceFree(kit === 'folder' ? folder : kit.zip);
  const isFolderNew = !(await isThere(folder));
  await createFolder(folder, kit === undefined ? undefined : 0o700);
  const zip = typeof kit === 'object' ? kit.zip : undefined;
  // A zip file was all that was missing: the answer is asked for again, and is the same.
  if (zip !== undefined) await removeFile(files.certificate);
  if ((await readTextIfThere(files.certificate, 'the certificate')) !== undefined) {
    throw new KeylineError(
      'FILE_EXISTS',
      `${files.certificate} exists: "${id}" is enrolled from here already. Renew it instead.`,
    );
  }
  const client = createClient(service, caller);
  let isAnswered = false;
  let isNew = false;
  try {
    const held = await keyIn(files.key, algorithm);
    const { key } = held;
    ({ isNew } = held);
    const { status, answer } = await ask(client, {
      id,
      csr: await createCsrPem(key, id),
      ...(validity === undefined ? {} : { validity }),
      ...(broker === undefined ? {} : { broker }),
    });
    isAnswered = true;
    assertIsFor(key, answer.certificate);
    const certificate = joinChain(answer.certificate, answer.chain);
    await writeConnection({
      identity: { id, kind: answer.device.kind, broker: answer.broker, certificate },
      ...{ files, folder, api: service.api, trust: await client.getText('/v1/trust-bundle') },
      isKit: kit !== undefined,
    });
    // Last: its presence says that the enrollment is complete.
    await replaceFile(files.certificate, certificate, {
      mode: kit === undefined ? 0o644 : 0o600,
    });
    // Another enrollment from here, with a token that was refused, may have taken away the key that it had made.
    await keepKey(files.key, key);
    if (zip !== undefined) await packFolder(folder, { zip, id, clock });
    const verdict = judgeClock(answer.certificate, clock);
    return { answer, files, isAgain: status === 200, clock: verdict };
  } catch (error) {
    if (isNew && !isAnswered && isRefused(error) && !(await isThere(files.certificate))) {
      await removeFile(files.key);
      // Only when there is nothing else in it.
      if (isFolderNew) await rmdir(folder).catch(() => undefined);
    }
    throw error;
  } finally {
    client.close();
  }
}

/** No connection was made, so the service can't have heard of the key. */
const neverAsked: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** Whether it is certain that the key has no certificate. An answer that was lost is none: the same key asks again then. */
export function isRefused(error: unknown): boolean {
  if (!isKeylineError(error)) return false;
  const status = Number(error.context['status'] ?? 0);
  if (status >= 400 && status < 500) return true;
  return (
    error.code === 'SERVICE_UNREACHABLE' &&
    neverAsked.has((error.cause as { code?: unknown } | undefined)?.code)
  );
}

export async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
