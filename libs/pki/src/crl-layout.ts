// Where the parts of a CRL lie in its DER. The entries are not looked at, however many they are.
import { der, parseExtensions, readSequence, type Extension } from '@keyline/x509';

/** Views into the CRL's bytes. */
export interface CrlLayout {
  /** From the version to nextUpdate. */
  readonly head: Uint8Array;
  readonly issuerDer: Uint8Array;
  /** revokedCertificates, the SEQUENCE with its header; empty when it is absent. */
  readonly entries: Uint8Array;
  readonly extensions: readonly Extension[];
}

const { contextConstructedTag, tags } = der;
const nothing = new Uint8Array();

/** @param crlDer one that `createCrl` made @throws {KeylineError} DER_MALFORMED */
export function readCrlLayout(crlDer: Uint8Array): CrlLayout {
  const tbs = readSequence(crlDer).enter();
  const start = tbs.offset;
  tbs.read(tags.integer);
  tbs.read(tags.sequence);
  const issuerDer = tbs.whole(tbs.read(tags.sequence));
  tbs.readTime();
  tbs.readTime();
  const head = crlDer.subarray(start, tbs.offset);
  const list = tbs.readOptional(tags.sequence);
  return {
    head,
    issuerDer,
    entries: list === undefined ? nothing : tbs.whole(list),
    extensions: parseExtensions(tbs.enter(contextConstructedTag(0)).enter()),
  };
}
