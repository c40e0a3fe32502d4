// A device's next certificate: what is answered is on the disk beside the present pair before that is touched, and how far a swap of
// files had come is read from the files themselves. Stopped anywhere, run twice or by two at once, it ends with a pair that fits.
import type { RouteAnswer } from './api-client.ts';
import {
  isNodeError,
  readTextIfThere,
  removeFile,
  renameDurably,
  replaceFile,
} from '@keyline/files';
import { isKeylineError, messageOf, type Clock, type KeylineError } from '@keyline/kernel';
import { loadPlainKey } from '@keyline/keys';
import type { KeyObject } from 'node:crypto';
import { createClient } from './api-client.ts';
import { loadCertificateCaller } from './caller.ts';
import { judgeClock, type ClockVerdict } from './certificate-clock.ts';
import { deviceFilesOf, type DeviceFiles } from './device-files.ts';
import {
  algorithmOf,
  assertIsFor,
  createCsrPem,
  joinChain,
  loadLeaf,
  parseLeaf,
  takeUpOrCreateKey,
} from './device-key.ts';
import type { ServiceLocation } from './service-location.ts';

export interface RenewDevice {
  readonly service: ServiceLocation;
  readonly id: string;
  readonly folder: string;
  /** Whether the key is replaced, too. */
  readonly withNewKey: boolean;
  /** A duration such as `12h`; absent: what the profile gives. */
  readonly validity?: string | undefined;
  readonly clock: Clock;
}

export interface RenewedDevice {
  readonly answer: RouteAnswer<'renew'>;
  readonly files: DeviceFiles;
  /** An earlier renewal had been interrupted; its files were put in place first. */
  readonly hasFinishedEarlier: boolean;
  readonly clock: ClockVerdict;
  /** Why the new certificate could not be shown to the service; undefined when it was. */
  readonly notShown: string | undefined;
}

/** @throws {KeylineError} FILE_NOT_FOUND when it is not enrolled from here; what the service answers; SERVICE_UNREACHABLE; FILE_* */
export async function renewDevice(given: RenewDevice): Promise<RenewedDevice> {
  const { service, id, folder, withNewKey, clock } = given;
  const files = deviceFilesOf(folder, id);
  const hasFinishedEarlier = await settleRenewal(files);
  const answer = withNewKey ? await renewWithNewKey(given, files) : await ask(given, files);
  await replaceFile(files.newCertificate, joinChain(answer.certificate, answer.chain), {
    mode: 0o644,
  });
  await settleRenewal(files);
  return {
    answer,
    files,
    hasFinishedEarlier,
    clock: judgeClock(answer.certificate, clock),
    notShown: await show(service, id, files),
  };
}

/**
 * Puts the next pair in place, as far as it is not yet. Order matters: the certificate is durable beside before the key moves, and by what
 * it fits one always can tell what is missing.
 * @returns whether a certificate was put in place
 * @throws {KeylineError} FILE_UNREADABLE, FILE_NOT_FOUND
 */
export async function settleRenewal(files: DeviceFiles): Promise<boolean> {
  const pem = await readTextIfThere(files.newCertificate, 'the new certificate');
  if (pem === undefined) return false;
  const next = parseLeaf(pem, files.newCertificate);
  const newKey = await loadKeyIfThere(files.newKey);
  if (newKey !== undefined && next.checkPrivateKey(newKey)) {
    await moveIfThere(files.newKey, files.key);
  } else {
    const key = await loadPlainKey(files.key);
    const present = await loadLeaf(files.certificate);
    // The older of two that fit the key must not win; which one ends first says nothing of that. Where the present one does not fit, the key
    // has moved already, and the certificate belongs beside it.
    const isOlder = present.checkPrivateKey(key) && next.validFromDate < present.validFromDate;
    if (!next.checkPrivateKey(key) || isOlder) {
      await removeFile(files.newCertificate);
      return false;
    }
  }
  await moveIfThere(files.newCertificate, files.certificate);
  return true;
}

async function renewWithNewKey(
  given: RenewDevice,
  files: DeviceFiles,
): Promise<RouteAnswer<'renew'>> {
  const algorithm = algorithmOf(await loadPlainKey(files.key));
  // The key of an interrupted renewal is used again: the service may have answered it already.
  const isLeftOver = (await loadKeyIfThere(files.newKey)) !== undefined;
  const key = await takeUpOrCreateKey(files.newKey, algorithm);
  try {
    return await ask(given, files, key);
  } catch (error) {
    // A renewal without it came in between: the service has seen this key, and takes it for no new one again. Nobody else has it.
    if (!isLeftOver || !isKeylineError(error) || error.code !== 'CSR_KEY_IN_USE') throw error;
    await removeFile(files.newKey);
    return ask(given, files, await takeUpOrCreateKey(files.newKey, algorithm));
  }
}

async function ask(
  { service, id, validity }: RenewDevice,
  files: DeviceFiles,
  key?: KeyObject,
): Promise<RouteAnswer<'renew'>> {
  const caller = await loadCertificateCaller(files.certificate, files.key);
  const client = createClient(service, caller);
  try {
    const answer = await client.call('renew', {
      body: {
        ...(key === undefined ? {} : { csr: await createCsrPem(key, id) }),
        ...(validity === undefined ? {} : { validity }),
      },
    });
    assertIsFor(key ?? (await loadPlainKey(files.key)), answer.certificate);
    return answer;
  } finally {
    client.close();
  }
}

/**
 * A new certificate that nobody has used can still be replaced by whoever has the old key, for a device that lost it. This one is on disk:
 * a first call with it says so, also where the broker reports no use.
 * @returns why it could not be
 */
async function show(
  service: ServiceLocation,
  id: string,
  files: DeviceFiles,
): Promise<string | undefined> {
  try {
    const client = createClient(service, await loadCertificateCaller(files.certificate, files.key));
    try {
      await client.call('getDevice', { params: { id } });
      return undefined;
    } finally {
      client.close();
    }
  } catch (error) {
    return messageOf(error);
  }
}

async function loadKeyIfThere(file: string): Promise<KeyObject | undefined> {
  try {
    return await loadPlainKey(file);
  } catch (error) {
    if (isKeylineError(error) && error.code === 'FILE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Not there any more: another renewal at the same moment has moved it. */
async function moveIfThere(from: string, to: string): Promise<void> {
  try {
    await renameDurably(from, to);
  } catch (error) {
    if (!isNodeError((error as KeylineError).cause, 'ENOENT')) throw error;
  }
}
