// Certificate revocation lists (RFC 5280 §5): complete ones (of an authority, or of one of its shards) and deltas.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KeylineError } from '@keyline/kernel';
import {
  algorithms,
  der,
  encodeAuthorityKeyIdentifier,
  encodeDistributionPointName,
  encodeExtension,
  encodeFreshestCrl,
  equalBytes,
  oids,
  type Extension,
  type Signer,
} from '@keyline/x509';
import { encodeInSlices, type CrlEntries, type EncodedCrlEntries } from './crl-entries.ts';
import { readCrlLayout } from './crl-layout.ts';
import { readIssuer } from './issuer-identity.ts';
import type { Authority, DeltaCrlEntry } from './ports.ts';

interface CommonContent {
  readonly authority: Pick<Authority, 'certificateDer' | 'signer'>;
  /** CRLNumber: one row of numbers for complete CRLs and deltas of a scope, growing with each (§5.2.3). */
  readonly number: number | bigint;
  /** Epoch milliseconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /**
   * What the CRL covers: leaves (an issuing authority's), authorities (the root's), or everything, which is said by no issuing distribution
   * point at all: some software (Mbed TLS, wolfSSL) loads no CRL with that critical extension.
   */
  readonly scope: 'user' | 'ca' | 'all';
  /**
   * The URI that the certificates carry as distribution point, identical (§5.2.5); a shard's is `crlShardUrl`. Several where certificates
   * carry different ones: one of them has to be a certificate's (§6.3.3 (b)(2)(i)). Absent: all certificates of the scope, whatever distribution point they carry (the whole list of a sharded authority). Left out of a root's CRL: OpenSSL with
   * `-crl_check_all` (Mosquitto too) looks for the root itself in it, and a root carries no distribution point to compare.
   */
  readonly distributionPoint?: string | readonly string[] | undefined;
}

export interface CrlContent extends CommonContent {
  readonly entries: CrlEntries;
  /** Where the delta to this CRL is published (FreshestCRL, §5.2.6). */
  readonly freshestCrl?: string | undefined;
}

export interface DeltaCrlContent extends CommonContent {
  /** Number of the complete CRL that this one adds to (BaseCRLNumber, §5.2.4); below `number`. */
  readonly baseNumber: number | bigint;
  /** What changed since the base; `removeFromCRL` for those that are no longer revoked. */
  readonly entries: CrlEntries<DeltaCrlEntry>;
}

/**
 * A complete, signed CRL, DER. The event loop is left every few milliseconds, however many the entries are.
 * @throws {KeylineError} INTERNAL for a number, times or entries that can't stand in a CRL
 */
export async function createCrl(content: CrlContent): Promise<Uint8Array> {
  const { freshestCrl } = content;
  const entries = await encodeInSlices(content.entries);
  if (entries.hasRemovals) {
    throw new KeylineError(
      'INTERNAL',
      'A complete CRL has an entry with the reason removeFromCRL, which is for deltas only (RFC 5280 §5.3.1).',
    );
  }
  const extensions = freshestCrl === undefined ? [] : [encodeFreshestCrl(freshestCrl)];
  return signCrl(content, entries, extensions);
}

/**
 * A delta CRL, DER: the base and this one together are a complete CRL of number `number`. Everything that says what it covers
 * (authority, scope, distribution point) must be as in the base.
 * @throws {KeylineError} INTERNAL as createCrl; also when the base is not older
 */
export async function createDeltaCrl(content: DeltaCrlContent): Promise<Uint8Array> {
  const base = asCrlNumber(content.baseNumber);
  if (base >= BigInt(content.number)) {
    throw new KeylineError(
      'INTERNAL',
      `A delta CRL of number ${String(content.number)} can't add to a base of number ${String(base)}: numbers are shared and grow (RFC 5280 §5.2.4).`,
    );
  }
  const indicator = { oid: oids.deltaCRLIndicator, critical: true, valueDer: der.integer(base) };
  return signCrl(content, await encodeInSlices(content.entries), [indicator]);
}

function asCrlNumber(value: number | bigint): bigint {
  const number = BigInt(value);
  if (number < 0n || number >= 1n << 159n) {
    throw new KeylineError(
      'INTERNAL',
      `${String(number)} can't be a CRL number (RFC 5280 §5.2.3).`,
    );
  }
  return number;
}

function signCrl(
  content: CommonContent,
  entries: EncodedCrlEntries,
  more: readonly Extension[],
): Promise<Uint8Array> {
  const { authority, thisUpdate, nextUpdate } = content;
  const number = asCrlNumber(content.number);
  if (nextUpdate <= thisUpdate) {
    throw new KeylineError('INTERNAL', 'A CRL must end after it begins (nextUpdate, thisUpdate).');
  }
  const issuer = readIssuer(authority);
  const isRoot = issuer.certificate.selfSigned;
  const { identifierDer } = algorithms[authority.signer.algorithm].signature;
  const extensions = [
    encodeAuthorityKeyIdentifier(issuer.keyId),
    { oid: oids.cRLNumber, critical: false, valueDer: der.integer(number) },
    ...encodeIssuingDistributionPoint(
      content.scope,
      isRoot ? undefined : content.distributionPoint,
    ),
    ...more,
  ];
  const head = der.concat(
    der.integer(1),
    identifierDer,
    issuer.nameDer,
    der.time(thisUpdate),
    der.time(nextUpdate),
  );
  const tail = der.explicit(0, der.sequence(...extensions.map(encodeExtension)));
  return assemble(authority.signer, { head, entries, tail });
}

// Tag and five length octets; ML-DSA-87's signature with its identifier and headers.
const maxHeaderBytes = 6;
const maxSignatureBytes = 4800;
/** From here on copying and signing take their turns with other work. */
const largeBytes = 1 << 20;
const copySliceBytes = 8 << 20;

interface TbsParts {
  readonly head: Uint8Array;
  readonly entries: EncodedCrlEntries;
  readonly tail: Uint8Array;
}

/** Puts the parts straight into the final buffer and signs them there: a large CRL is copied once, not once per nesting level. */
async function assemble(signer: Signer, { head, entries, tail }: TbsParts): Promise<Uint8Array> {
  // §5.1.2.6: absent, not empty, when nothing is revoked.
  const hasEntries = entries.bytes > 0;
  const listBytes = hasEntries ? 1 + der.lengthSize(entries.bytes) + entries.bytes : 0;
  const tbsContentBytes = head.length + listBytes + tail.length;
  const tbsBytes = 1 + der.lengthSize(tbsContentBytes) + tbsContentBytes;
  const out = new Uint8Array(maxHeaderBytes + tbsBytes + maxSignatureBytes);
  const put = (part: Uint8Array, offset: number): number => {
    out.set(part, offset);
    return offset + part.length;
  };
  let offset = der.writeHeader(out, maxHeaderBytes, der.tags.sequence, tbsContentBytes);
  offset = put(head, offset);
  if (hasEntries) {
    offset = der.writeHeader(out, offset, der.tags.sequence, entries.bytes);
    let turnAt = offset + copySliceBytes;
    for (const chunk of entries.chunks) {
      offset = put(chunk, offset);
      // Frees the chunk now: the list never stands in memory twice.
      chunk.buffer.transfer(0);
      if (offset < turnAt) continue;
      await nextTurn();
      turnAt = offset + copySliceBytes;
    }
  }
  const tbsEnd = put(tail, offset);
  const tbs = out.subarray(maxHeaderBytes, tbsEnd);
  const signature =
    tbs.length > largeBytes && signer.signLarge !== undefined
      ? await signer.signLarge(tbs)
      : await signer.sign(tbs);
  const { identifierDer } = algorithms[signer.algorithm].signature;
  const end = put(der.bitString(signature), put(identifierDer, tbsEnd));
  // The outer header's size is known only now; it goes right before the TBS.
  const contentBytes = end - maxHeaderBytes;
  const start = maxHeaderBytes - 1 - der.lengthSize(contentBytes);
  der.writeHeader(out, start, der.tags.sequence, contentBytes);
  return out.subarray(start, end);
}

function encodeIssuingDistributionPoint(
  scope: CommonContent['scope'],
  distributionPoint: CommonContent['distributionPoint'],
): Extension[] {
  if (scope === 'all') return [];
  const point = {
    oid: oids.issuingDistributionPoint,
    critical: true,
    valueDer: der.sequence(
      ...(distributionPoint === undefined
        ? []
        : [encodeDistributionPointName(...[distributionPoint].flat())]),
      der.implicit(scope === 'user' ? 1 : 2, der.boolean(true)),
    ),
  };
  return [point];
}

/** Whether a CRL says exactly this of the leaves it covers: another can't be the base of its delta (RFC 5280 §5.2.4). */
export function coversAs(
  crlDer: Uint8Array,
  { distributionPoint }: Pick<CommonContent, 'distributionPoint'>,
): boolean {
  const expected = encodeIssuingDistributionPoint('user', distributionPoint)[0];
  const found = readCrlLayout(crlDer).extensions.find(({ oid }) => oid === expected?.oid);
  return (
    expected !== undefined && found !== undefined && equalBytes(found.valueDer, expected.valueDer)
  );
}
