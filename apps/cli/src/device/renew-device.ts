// `keyline device renew`: the next certificate, and a swap of files that can be interrupted anywhere and finished later.
import { join, resolve } from 'node:path';
import type { KeyObject } from 'node:crypto';
import { readTextIfThere, removeFile, renameDurably, replaceFile } from '@keyline/files';
import { KeylineError, messageOf } from '@keyline/kernel';
import { loadPlainKey } from '@keyline/keys';
import type { KeyAlgorithm } from '@keyline/x509';
import { ApiClient, createTransport } from '../client/api-client.ts';
import {
  findService,
  loadCertificateCaller,
  type ServiceLocation,
} from '../client/find-service.ts';
import type { LocationOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { formatTimeAndDistance } from '../print/time.ts';
import { createCsrPem, createKeyFile, joinChain, loadLeaf, parseLeaf } from './device-key.ts';
import { assertFileName } from './enroll-device.ts';

export interface RenewOptions extends LocationOptions, JsonOption {
  readonly id: string;
  readonly dir: string;
  readonly newKey?: boolean;
  readonly validity?: string;
}

interface DeviceFiles {
  readonly key: string;
  readonly certificate: string;
  readonly newKey: string;
  readonly newCertificate: string;
}

export async function renewDevice(context: CliContext, options: RenewOptions): Promise<void> {
  const { id } = options;
  assertFileName(id);
  const files = deviceFiles(resolve(context.cwd, options.dir), id);
  if (await finishSwap(files)) {
    context.terminal.err('An earlier renewal was interrupted; its files are in place now.\n');
  }
  const location = await findService(context, options);
  const caller = await loadCertificateCaller(files.certificate, files.key);
  const key = options.newKey === true ? await nextKey(files) : undefined;
  const client = new ApiClient(location, createTransport(location, caller));
  try {
    const answer = await client.call('renew', {
      body: {
        ...(key === undefined ? {} : { csr: await createCsrPem(key, id) }),
        ...(options.validity === undefined ? {} : { validity: options.validity }),
      },
    });
    await replaceFile(files.newCertificate, joinChain(answer.certificate, answer.chain), {
      mode: 0o644,
    });
    await swap(files, { withKey: key !== undefined });
    await showUse(context, location, { id, files });
    if (options.json === true) {
      printJson(context, { ...answer, files: { key: files.key, certificate: files.certificate } });
      return;
    }
    context.terminal.out(
      `${id} has a new certificate${key === undefined ? '' : ' and a new key'}: serial ${answer.serial}, ends ${formatTimeAndDistance(answer.device.notAfter, context.clock.now())}.\n`,
    );
  } finally {
    client.close();
  }
}

/**
 * A new certificate that nobody has used can still be replaced by whoever has the old key, for a device that lost it. This one is on disk:
 * a first call with it says so, also where the broker reports no use.
 */
async function showUse(
  context: CliContext,
  location: ServiceLocation,
  { id, files }: { readonly id: string; readonly files: DeviceFiles },
): Promise<void> {
  try {
    const caller = await loadCertificateCaller(files.certificate, files.key);
    const client = new ApiClient(location, createTransport(location, caller));
    try {
      await client.call('getDevice', { params: { id } });
    } finally {
      client.close();
    }
  } catch (error) {
    context.terminal.err(
      `The service could not be called with the new certificate (${messageOf(error)}): until it is used, the old one can still replace it.\n`,
    );
  }
}

function deviceFiles(folder: string, id: string): DeviceFiles {
  const key = join(folder, `${id}.key`);
  const certificate = join(folder, `${id}.crt`);
  return { key, certificate, newKey: `${key}.new`, newCertificate: `${certificate}.new` };
}

/** The key of an interrupted renewal is used again: the service may have answered it already. */
async function nextKey(files: DeviceFiles): Promise<KeyObject> {
  if ((await readTextIfThere(files.newKey, 'the new key')) !== undefined) {
    return loadPlainKey(files.newKey);
  }
  const current = await loadPlainKey(files.key);
  return createKeyFile(files.newKey, algorithmOf(current));
}

/** Order matters: the certificate is durable beside before the key moves, so that finishSwap can always tell what is missing. */
async function swap(files: DeviceFiles, { withKey }: { withKey: boolean }): Promise<void> {
  if (withKey) await renameDurably(files.newKey, files.key);
  await renameDurably(files.newCertificate, files.certificate);
}

/**
 * Finishes a swap that was interrupted, by what the new certificate fits to. Tells whether there was one.
 * @throws {KeylineError} FILE_UNREADABLE
 */
async function finishSwap(files: DeviceFiles): Promise<boolean> {
  const pem = await readTextIfThere(files.newCertificate, 'the new certificate');
  if (pem === undefined) return false;
  const certificate = parseLeaf(pem, files.newCertificate);
  const newKeyPem = await readTextIfThere(files.newKey, 'the new key');
  if (newKeyPem !== undefined && certificate.checkPrivateKey(await loadPlainKey(files.newKey))) {
    await swap(files, { withKey: true });
    return true;
  }
  if (certificate.checkPrivateKey(await loadPlainKey(files.key))) {
    // The older of two pairs must not win: only a certificate that ends later replaces the present one.
    const current = await loadLeaf(files.certificate);
    if (certificate.validToDate > current.validToDate) {
      await swap(files, { withKey: false });
      return true;
    }
  }
  await removeFile(files.newCertificate);
  return false;
}

function algorithmOf(key: KeyObject): KeyAlgorithm {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case 'ec':
      return details?.namedCurve === 'secp384r1' ? 'ec-p384' : 'ec-p256';
    case 'ed25519':
      return 'ed25519';
    case 'rsa':
      return (details?.modulusLength ?? 0) >= 4096
        ? 'rsa-4096'
        : (details?.modulusLength ?? 0) >= 3072
          ? 'rsa-3072'
          : 'rsa-2048';
    default:
      throw new KeylineError(
        'KEY_UNSUPPORTED',
        `The key is of the kind "${key.asymmetricKeyType ?? 'unknown'}", which can't be renewed with --new-key. Renew without it.`,
      );
  }
}
