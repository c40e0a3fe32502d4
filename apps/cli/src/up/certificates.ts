// Certificates that `up` keeps fresh through the API: the broker's server certificate and its own admin certificate.
import { X509Certificate } from 'node:crypto';
import type { Endpoints, IssueCertificateRequest } from '@keyline/api';
import {
  type ApiClient,
  createCsrPem,
  createClient,
  joinChain,
  loadCertificateCaller,
  takeUpOrCreateKey,
} from '@keyline/client';
import { readText, readTextIfThere, replaceFile } from '@keyline/files';
import { formatDuration, type Clock } from '@keyline/kernel';

export interface KeptCertificate {
  /** For the screen: "the certificate of the broker". */
  readonly what: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly request: Omit<IssueCertificateRequest, 'csr'>;
}

export interface Issuing {
  readonly api: string;
  /** Origins of the plain listener: as certificates name it, and as this machine's own programs reach it. */
  readonly http: { readonly outer: string; readonly inner: string };
  readonly trustFile: string;
  readonly admin: Endpoints['admin'];
  readonly clock: Clock;
}

/** Of the lifetime; the rest is time to notice that renewal fails. */
const renewAtShare = 2 / 3;

/**
 * Issues it when it is missing or two thirds of its life are over. The key stays, so that a renewal is the swap of one file.
 * @param revoked certificates of authorities that are revoked, PEM: what they issued is replaced, too
 * @returns a sentence about what was done, undefined when nothing was due
 * @throws {KeylineError}
 */
export async function keepFresh(
  kept: KeptCertificate,
  issuing: Issuing,
  revoked: readonly string[] = [],
): Promise<string | undefined> {
  const now = issuing.clock.now();
  const current = await readTextIfThere(kept.certificateFile, kept.what);
  if (
    current !== undefined &&
    isFresh(current, now) &&
    !isOfOne(current, revoked) &&
    hasNames(current, kept.request)
  ) {
    return undefined;
  }
  const key = await takeUpOrCreateKey(kept.keyFile, 'ec-p256');
  return callAsAdmin(issuing, async (client) => {
    const answer = await client.call('issueCertificate', {
      body: { ...kept.request, csr: await createCsrPem(key, kept.request.name) },
    });
    await replaceFile(kept.certificateFile, joinChain(answer.certificate, answer.chain));
    const life = formatDuration(Date.parse(answer.notAfter) - now);
    return `${current === undefined ? 'issued' : 'renewed'} ${kept.what} (serial ${answer.serial}, good for ${life})`;
  });
}

/** One piece of work with the API, as the admin of this folder. */
export async function callAsAdmin<Result>(
  issuing: Pick<Issuing, 'api' | 'trustFile' | 'admin'>,
  work: (client: ApiClient) => Promise<Result>,
): Promise<Result> {
  const location = {
    api: issuing.api,
    caPem: await readText(issuing.trustFile, 'the trust anchor'),
  };
  const caller = await loadCertificateCaller(issuing.admin.certificate, issuing.admin.key);
  const client = createClient(location, caller);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** Whether a certificate is there and valid now: good enough to start with when it can't be renewed just now. */
export async function isStillGood(kept: KeptCertificate, clock: Clock): Promise<boolean> {
  const pem = await readTextIfThere(kept.certificateFile, kept.what);
  if (pem === undefined) return false;
  const { validFromDate, validToDate } = new X509Certificate(pem);
  const now = clock.now();
  return now >= validFromDate.getTime() && now < validToDate.getTime();
}

/** One that has not begun is not fresh: it was made while the clock was ahead. */
function isFresh(pem: string, now: number): boolean {
  const { validFromDate, validToDate } = new X509Certificate(pem);
  const from = validFromDate.getTime();
  return now >= from && now < from + (validToDate.getTime() - from) * renewAtShare;
}

/** A machine that moved has names that its certificate does not know. */
function hasNames(
  pem: string,
  { dnsNames = [], ipAddresses = [] }: KeptCertificate['request'],
): boolean {
  const leaf = new X509Certificate(pem);
  return (
    dnsNames.every((name) => leaf.checkHost(name, { subject: 'never' }) !== undefined) &&
    ipAddresses.every((address) => leaf.checkIP(address) !== undefined)
  );
}

function isOfOne(pem: string, authorities: readonly string[]): boolean {
  const leaf = new X509Certificate(pem);
  return authorities.some((one) => leaf.checkIssued(new X509Certificate(one)));
}
