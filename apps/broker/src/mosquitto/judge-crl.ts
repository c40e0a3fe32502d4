// Whether Mosquitto may be given a CRL: one bad file, and it refuses everybody (2.1: ends; 2.0 after a reload: lets everybody in).
import { createHash } from 'node:crypto';
import { formatInstant, KeylineError } from '@keyline/kernel';
import {
  decodePemChain,
  equalBytes,
  oids,
  parseCertificate,
  parseCrl,
  verifySignature,
  type ParsedCertificate,
  type ParsedCrl,
} from '@keyline/x509';

export type Issuers = readonly ParsedCertificate[];

export interface GoodCrl {
  readonly der: Uint8Array;
  readonly number: bigint;
  /** Epoch milliseconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly revoked: number;
  /** Digest of the revoked serials. */
  readonly revocations: string;
}

/** Those of a CA bundle, PEM. @throws {KeylineError} DER_MALFORMED */
export function parseIssuers(bundle: string): Issuers {
  return decodePemChain(bundle).map((der) => parseCertificate(der));
}

// A critical extension that OpenSSL does not know makes it refuse every certificate (RFC 5280 §5.2).
const known: ReadonlySet<string> = new Set([
  oids.authorityKeyIdentifier,
  oids.cRLNumber,
  oids.issuingDistributionPoint,
]);
/** Clocks of two machines differ. */
const skew = 5 * 60_000;

/**
 * @param given.previous from the same address: it may not be followed by an older one
 * @throws {KeylineError} DER_MALFORMED, PATH_INVALID with what is wrong
 */
export function judgeCrl(
  der: Uint8Array,
  given: {
    readonly now: number;
    readonly issuers: Issuers;
    readonly previous: GoodCrl | undefined;
  },
): GoodCrl {
  const { now, issuers, previous } = given;
  const crl = parseCrl(der);
  const { number, thisUpdate, nextUpdate } = crl;
  const fault =
    faultOfForm(crl) ??
    faultOfSignature(crl, issuers) ??
    (nextUpdate <= now
      ? `it ended at ${formatInstant(nextUpdate)} (nextUpdate)`
      : thisUpdate > now + skew
        ? `it begins at ${formatInstant(thisUpdate)} (thisUpdate), in the future`
        : previous !== undefined && number < previous.number
          ? `its number ${String(number)} is older than ${String(previous.number)}, which is in force`
          : undefined);
  if (fault !== undefined) {
    throw new KeylineError('PATH_INVALID', `The CRL can't be used: ${fault}.`);
  }
  const digest = createHash('sha256');
  for (const serial of crl.entries.map((entry) => entry.serial).toSorted()) digest.update(serial);
  const revocations = digest.digest('hex');
  return { der, number, thisUpdate, nextUpdate, revoked: crl.entries.length, revocations };
}

function faultOfForm({ isDelta, scope, extensions }: ParsedCrl): string | undefined {
  if (isDelta) return 'it is a delta; Mosquitto reads complete ones only';
  if (scope === 'ca') return 'it speaks of CA certificates only, not of devices';
  if (scope === 'other') return 'it speaks of some reasons or of other authorities only';
  const unknown = extensions.find(({ oid, critical }) => critical && !known.has(oid));
  return unknown === undefined ? undefined : `its critical extension ${unknown.oid} is not known`;
}

function faultOfSignature(crl: ParsedCrl, issuers: Issuers): string | undefined {
  const named = issuers.filter(({ subjectDer }) => equalBytes(subjectDer, crl.issuerDer));
  if (named.length === 0) return 'its issuer is not in the CA bundle (--ca)';
  const mayNot = (issuer: ParsedCertificate): boolean =>
    issuer.extensions.some(({ oid }) => oid === oids.keyUsage) &&
    !issuer.keyUsage.includes('cRLSign');
  return named.some(
    (issuer) => !mayNot(issuer) && verifySignature({ ...crl, spkiDer: issuer.spkiDer }),
  )
    ? undefined
    : 'its signature is not of the issuer that it names';
}
