// A CRL signed once more without its issuing distribution point, for software that loads none with that critical extension (Mbed TLS,
// wolfSSL). The entries are those of the CRL it is made of, and stay where they are in memory.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KeylineError } from '@keyline/kernel';
import { algorithms, der, encodeExtension, equalBytes, oids } from '@keyline/x509';
import { readCrlLayout } from './crl-layout.ts';
import { readIssuer } from './issuer-identity.ts';
import type { Authority } from './ports.ts';

const { tags } = der;
/** Without the distribution point, and without the delta's address: a delta has the distribution point of its base (RFC 5280 §5.2.4). */
const kept: ReadonlySet<string> = new Set([oids.authorityKeyIdentifier, oids.cRLNumber]);
/** From here on signing takes its turns with other work. */
const largeBytes = 1 << 20;
const copySliceBytes = 8 << 20;

/**
 * @param options.crlDer a complete CRL by `createCrl` that covers all the authority's certificates: with `scope: 'user'` or `'ca'`, of no
 *   shard. Whoever signs no authorities but leaves, or no leaves, covers with it what it signed at all
 * @returns the DER in pieces, in order; the largest is a view into `crlDer`
 * @throws {KeylineError} INTERNAL for a CRL of another authority
 */
export async function createFullCrl(options: {
  readonly authority: Pick<Authority, 'certificateDer' | 'signer'>;
  readonly crlDer: Uint8Array;
}): Promise<readonly Uint8Array[]> {
  const { authority, crlDer } = options;
  const { signer } = authority;
  const { identifierDer } = algorithms[signer.algorithm].signature;
  const { head, issuerDer, entries, extensions } = readCrlLayout(crlDer);
  if (!equalBytes(issuerDer, readIssuer(authority).nameDer)) {
    throw new KeylineError('INTERNAL', 'A CRL was to be signed again by another than its issuer.');
  }
  const tail = der.explicit(
    0,
    der.sequence(...extensions.filter(({ oid }) => kept.has(oid)).map(encodeExtension)),
  );
  const content = [head, entries, tail];
  const tbs = [header(tags.sequence, sizeOf(content)), ...content];
  const toBeSigned = await join(tbs);
  const signature =
    toBeSigned.length > largeBytes && signer.signLarge !== undefined
      ? await signer.signLarge(toBeSigned)
      : await signer.sign(toBeSigned);
  const parts = [...tbs, identifierDer, der.bitString(signature)];
  return [header(tags.sequence, sizeOf(parts)), ...parts];
}

/** With a turn for others between slices. */
async function join(parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const out = Buffer.allocUnsafeSlow(sizeOf(parts));
  let offset = 0;
  for (const part of parts) {
    for (let start = 0; start < part.length; start += copySliceBytes) {
      if (start > 0) await nextTurn();
      const slice = part.subarray(start, start + copySliceBytes);
      out.set(slice, offset);
      offset += slice.length;
    }
  }
  return out;
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((size, part) => size + part.length, 0);
}

function header(tag: number, contentBytes: number): Uint8Array {
  const out = new Uint8Array(1 + der.lengthSize(contentBytes));
  der.writeHeader(out, 0, tag, contentBytes);
  return out;
}
