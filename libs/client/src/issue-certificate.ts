// A certificate for what is no device (a server, an operator, a station), with a key that is made here: the CSR is sent, never the key.
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createFolder, removeFile, replaceFile } from '@keyline/files';
import { isKeylineError, KeylineError, type Clock } from '@keyline/kernel';
import { decodePem, type KeyAlgorithm } from '@keyline/x509';
import type { KeyObject } from 'node:crypto';
import { createClient, type RouteAnswer } from './api-client.ts';
import type { Caller } from './caller.ts';
import { judgeClock, type ClockVerdict } from './certificate-clock.ts';
import { assertIsFor, createCsrPem, joinChain, keepKey, keyIn } from './device-key.ts';
import { isRefused, isThere } from './enroll.ts';
import type { ServiceLocation } from './service-location.ts';

export interface IssueCertificate {
  readonly service: ServiceLocation;
  readonly caller: Caller;
  readonly profile: string;
  readonly name: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** Made when it is missing. */
  readonly folder: string;
  /** Of the files in it, without an ending. */
  readonly fileName: string;
  /** Of a key that is made; one that is there is kept. */
  readonly algorithm: KeyAlgorithm;
  /** A duration such as `12h`; absent: what the profile gives. */
  readonly validity?: string | undefined;
  /** Whether it takes the place of a certificate that is there, with the same key. */
  readonly replace: boolean;
  readonly clock: Clock;
}

export interface CertificateFiles {
  readonly key: string;
  /** Leaf and chain, as TLS servers want it. */
  readonly certificate: string;
  /** Trust anchors. */
  readonly ca: string;
}

export interface IssuedFiles {
  readonly answer: RouteAnswer<'issueCertificate'>;
  readonly files: CertificateFiles;
  readonly key: KeyObject;
  /** DER: leaf first. */
  readonly certificates: readonly Uint8Array[];
  readonly clock: ClockVerdict;
}

/**
 * Refused, it leaves nothing; where a second administrator has to allow it, the key stays, and the same call is made again after that.
 * @throws {KeylineError} FILE_EXISTS, what the service answers, SERVICE_UNREACHABLE, FILE_*
 */
export async function issueCertificate(given: IssueCertificate): Promise<IssuedFiles> {
  const { service, caller, profile, name, folder, fileName, algorithm, validity, clock } = given;
  const files = {
    key: join(folder, `${fileName}.key`),
    certificate: join(folder, `${fileName}.crt`),
    ca: join(folder, 'ca.pem'),
  };
  if (!given.replace && (await isThere(files.certificate))) {
    throw new KeylineError(
      'FILE_EXISTS',
      `${files.certificate} exists. With --renew the next certificate of its key takes its place.`,
    );
  }
  const isFolderNew = !(await isThere(folder));
  await createFolder(folder);
  const client = createClient(service, caller);
  let isNew = false;
  try {
    const held = await keyIn(files.key, algorithm);
    const { key } = held;
    ({ isNew } = held);
    const answer = await client.call('issueCertificate', {
      body: {
        ...{ profile, name, csr: await createCsrPem(key, name) },
        ...(given.dnsNames.length === 0 ? {} : { dnsNames: [...given.dnsNames] }),
        ...(given.ipAddresses.length === 0 ? {} : { ipAddresses: [...given.ipAddresses] }),
        ...(validity === undefined ? {} : { validity }),
      },
    });
    isNew = false;
    assertIsFor(key, answer.certificate);
    await replaceFile(files.ca, await client.getText('/v1/trust-bundle'), { mode: 0o644 });
    const text = joinChain(answer.certificate, answer.chain);
    await replaceFile(files.certificate, text, { mode: 0o644 });
    await keepKey(files.key, key);
    const certificates = [answer.certificate, ...answer.chain].map((pem) =>
      decodePem(pem, 'CERTIFICATE'),
    );
    return { answer, files, key, certificates, clock: judgeClock(answer.certificate, clock) };
  } catch (error) {
    const waits = isKeylineError(error) && error.code === 'APPROVAL_NEEDED';
    if (isNew && !waits && isRefused(error)) {
      await removeFile(files.key);
      // Only when there is nothing else in it.
      if (isFolderNew) await rmdir(folder).catch(() => undefined);
    }
    throw error;
  } finally {
    client.close();
  }
}
