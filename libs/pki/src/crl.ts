// Certificate revocation lists (RFC 5280 §5), written into buffers sized beforehand: a million entries are a second's work.
import { KeylineError } from '@keyline/kernel';
import {
  algorithms,
  crlReasonCodes,
  der,
  encodeAuthorityKeyIdentifier,
  encodeDistributionPointName,
  encodeExtension,
  oids,
  type Extension,
  type Signer,
} from '@keyline/x509';
import { readIssuer } from './issuer-identity.ts';
import type { Authority, CrlEntry, RevocationReason } from './ports.ts';

export interface CrlContent {
  readonly authority: Pick<Authority, 'certificateDer' | 'signer'>;
  /** CRLNumber: grows with every CRL of the authority (§5.2.3). */
  readonly number: number | bigint;
  /** Epoch milliseconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly entries: Iterable<CrlEntry>;
  /** What the CRL covers: leaves (an issuing authority's) or authorities (the root's). */
  readonly scope: 'user' | 'ca';
  /**
   * The URI that the certificates carry as distribution point, identical (§5.2.5). Left out of a root's CRL: OpenSSL with
   * `-crl_check_all` (Mosquitto too) looks for the root itself in it, and a root carries no distribution point to compare.
   */
  readonly distributionPoint?: string | undefined;
}

/**
 * A complete, signed CRL, DER.
 * @throws {KeylineError} INTERNAL for a number or times that can't stand in a CRL
 */
export async function createCrl(content: CrlContent): Promise<Uint8Array> {
  const { authority, thisUpdate, nextUpdate } = content;
  const number = BigInt(content.number);
  if (number < 0n || number >= 1n << 159n) {
    throw new KeylineError(
      'INTERNAL',
      `${String(number)} can't be a CRL number (RFC 5280 §5.2.3).`,
    );
  }
  if (nextUpdate <= thisUpdate) {
    throw new KeylineError('INTERNAL', 'A CRL must end after it begins (nextUpdate, thisUpdate).');
  }
  const issuer = readIssuer(authority);
  const isRoot = issuer.certificate.selfSigned;
  const { identifierDer } = algorithms[authority.signer.algorithm].signature;
  const entries = encodeEntries(content.entries);
  const extensions = [
    encodeAuthorityKeyIdentifier(issuer.keyId),
    { oid: oids.cRLNumber, critical: false, valueDer: der.integer(number) },
    encodeIssuingDistributionPoint(content.scope, isRoot ? undefined : content.distributionPoint),
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

interface TbsParts {
  readonly head: Uint8Array;
  readonly entries: Entries;
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
    for (const chunk of entries.chunks) offset = put(chunk, offset);
  }
  const tbsEnd = put(tail, offset);
  const signature = await signer.sign(out.subarray(maxHeaderBytes, tbsEnd));
  const { identifierDer } = algorithms[signer.algorithm].signature;
  const end = put(der.bitString(signature), put(identifierDer, tbsEnd));
  // The outer header's size is known only now; it goes right before the TBS.
  const contentBytes = end - maxHeaderBytes;
  const start = maxHeaderBytes - 1 - der.lengthSize(contentBytes);
  der.writeHeader(out, start, der.tags.sequence, contentBytes);
  return out.subarray(start, end);
}

function encodeIssuingDistributionPoint(
  scope: CrlContent['scope'],
  distributionPoint: string | undefined,
): Extension {
  return {
    oid: oids.issuingDistributionPoint,
    critical: true,
    valueDer: der.sequence(
      ...(distributionPoint === undefined ? [] : [encodeDistributionPointName(distributionPoint)]),
      der.implicit(scope === 'user' ? 1 : 2, der.boolean(true)),
    ),
  };
}

// The crlEntryExtensions of each reason; "unspecified" is left out (§5.3.1).
const reasonExtensions = Object.fromEntries(
  Object.entries(crlReasonCodes).map(([name, code]) => [
    name,
    code === 0
      ? new Uint8Array()
      : der.sequence(
          encodeExtension({
            oid: oids.reasonCode,
            critical: false,
            valueDer: der.enumerated(code),
          }),
        ),
  ]),
) as Record<RevocationReason, Uint8Array>;

const chunkBytes = 1 << 18;
// Largest entry: header 2, serial 2 + 21, time 17, reason 14.
const maxEntryBytes = 64;

interface Entries {
  /** The entries one after the other, without the SEQUENCE around them. */
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
}

function encodeEntries(entries: Iterable<CrlEntry>): Entries {
  const chunks: Buffer[] = [];
  let chunk = Buffer.allocUnsafe(chunkBytes);
  let offset = 0;
  let total = 0;
  // Revocations come in runs of the same second.
  let lastSecond = Number.NaN;
  let timeDer: Uint8Array = new Uint8Array();
  for (const { serial, revokedAt, reason } of entries) {
    if (offset + maxEntryBytes > chunkBytes) {
      chunks.push(chunk.subarray(0, offset));
      chunk = Buffer.allocUnsafe(chunkBytes);
      offset = 0;
    }
    const second = Math.floor(revokedAt / 1000);
    if (second !== lastSecond) {
      timeDer = der.time(second * 1000);
      lastSecond = second;
    }
    const start = offset;
    const reasonDer = reasonExtensions[reason];
    // Header of the entry is patched below: its content is always shorter than 128 octets.
    offset = writeSerial(chunk, offset + 2, serial);
    chunk.set(timeDer, offset);
    offset += timeDer.length;
    chunk.set(reasonDer, offset);
    offset += reasonDer.length;
    chunk[start] = der.tags.sequence;
    chunk[start + 1] = offset - start - 2;
    total += offset - start;
  }
  chunks.push(chunk.subarray(0, offset));
  return { chunks, bytes: total };
}

/** INTEGER of a SerialHex; returns the offset after it. */
function writeSerial(target: Buffer, offset: number, serialHex: string): number {
  const signOctet = serialHex.charCodeAt(0) >= 0x38 ? 1 : 0;
  const length = serialHex.length / 2;
  target[offset] = der.tags.integer;
  target[offset + 1] = length + signOctet;
  if (signOctet === 1) target[offset + 2] = 0;
  const start = offset + 2 + signOctet;
  const written = target.write(serialHex, start, length, 'hex');
  if (written !== length || length > 20 || length === 0) {
    throw new KeylineError(
      'INTERNAL',
      `"${serialHex.slice(0, 50)}" is not a certificate serial in hex.`,
    );
  }
  return start + length;
}
