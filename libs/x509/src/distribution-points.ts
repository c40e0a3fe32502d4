// Names of distribution points as comparable text: what a certificate says of where it is spoken of, and what a CRL says of what it
// speaks of (RFC 5280 §4.2.1.13, §5.2.5).
import { latin1Of } from './bytes.ts';
import { readSequence, type DerReader } from './der-reader.ts';
import { contextConstructedTag, contextTag } from './der-writer.ts';
import { canonicalName, canonicalRdn } from './name.ts';

/** A distribution point of a certificate. */
export interface DistributionPoint {
  /** Equal text is the same name; empty when the point has none. */
  readonly names: readonly string[];
  /** It is for some reasons only, or its CRL is another issuer's: what is found there does not speak for all. */
  readonly isPartial: boolean;
}

/** The directory name of the CRL's issuer itself, which is a distribution point of every certificate it issued (§6.3.3). */
export function issuerPointName(issuerDer: Uint8Array): string {
  return `directory ${canonicalName(issuerDer)}`;
}

/**
 * @param valueDer of a CRLDistributionPoints extension
 * @param issuerDer name of the certificate's issuer: relative names are relative to it
 * @throws {KeylineError} DER_MALFORMED
 */
export function parseDistributionPoints(
  valueDer: Uint8Array,
  issuerDer: Uint8Array,
): DistributionPoint[] {
  const points = readSequence(valueDer);
  const found: DistributionPoint[] = [];
  while (!points.isAtEnd()) {
    const point = points.enter();
    const name = point.enterOptional(contextConstructedTag(0));
    const names = name === undefined ? [] : parsePointNames(name, issuerDer);
    // reasons [1], cRLIssuer [2]
    const isPartial = !point.isAtEnd();
    while (!point.isAtEnd()) point.read();
    found.push({ names, isPartial });
  }
  return found;
}

/**
 * @param name a reader inside the `[0]` of a DistributionPointName
 * @returns never empty: a name of a form that nobody here knows is text that nothing else is equal to but the same bytes
 * @throws {KeylineError} DER_MALFORMED
 */
export function parsePointNames(name: DerReader, issuerDer: Uint8Array): string[] {
  const relative = name.readOptional(contextConstructedTag(1));
  if (relative !== undefined) {
    name.finish();
    const rdn = canonicalRdn(name.inside(relative));
    return [`directory ${canonicalName(issuerDer, [rdn])}`];
  }
  const fullName = name.enter(contextConstructedTag(0));
  name.finish();
  const names: string[] = [];
  while (!fullName.isAtEnd()) {
    const general = fullName.read();
    const content = fullName.content(general);
    if (general.tag === contextTag(6)) names.push(`uri ${latin1Of(content)}`);
    else if (general.tag === contextConstructedTag(4)) names.push(issuerPointName(content));
    else names.push(`other ${latin1Of(fullName.whole(general))}`);
  }
  return names.length === 0 ? ['none'] : names;
}
