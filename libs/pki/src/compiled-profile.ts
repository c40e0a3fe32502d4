// A profile made ready for one authority: names compiled, times in milliseconds, and the constant bytes of its certificates taken
// from a template that @peculiar/x509 built and the lint rules passed.
import { KeylineError, parseDuration } from '@keyline/kernel';
import {
  algorithms,
  buildLeafTbs,
  der,
  DerReader,
  encodeCrlDistributionPoints,
  encodeExtension,
  equalBytes,
  parseCertificate,
  readSequence,
  oids,
  type AlternativeName,
  type DerElement,
  type LeafContent,
  type RelativeName,
} from '@keyline/x509';
import { assertShardCount, crlShardUrl, shardIndexOf } from './crl-shards.ts';
import type { IssuerIdentity } from './issuer-identity.ts';
import { assertLeafRules } from './lint.ts';
import { compileNameTemplate, escapeUriSegment, type NameTemplate } from './name-template.ts';
import type { Authority, IssueRequest } from './ports.ts';
import type { Profile } from './profile.ts';
import { serialInShard, specimenRequest, specimenSerial } from './specimen.ts';

export interface CompiledProfile {
  readonly profile: Profile;
  /** Encoded extensions before and after the ones that vary (subjectAltName, subject key identifier). */
  readonly extensionsHead: Uint8Array;
  /** One for each shard of the authority's CRL, with its distribution point; a single one where there are no shards. */
  readonly extensionsTails: readonly Uint8Array[];
  /** Absent: this profile's certificates name no shard. */
  readonly crlShards?: number | undefined;
  /** What its certificates must not go beyond. */
  readonly constants: {
    /** Epoch milliseconds. */
    readonly authorityEnd: number;
    readonly noRevAvail: boolean;
  };
  /** `signature` and `issuer` of the TBSCertificate. */
  readonly signatureAlgorithmAndIssuer: Uint8Array;
  subjectOf(request: IssueRequest): RelativeName[];
  /** @throws {KeylineError} PROFILE_VIOLATION */
  alternativeNamesOf(request: IssueRequest): AlternativeName[];
  /** Whole seconds. @throws {KeylineError} VALIDITY_NOT_ALLOWED */
  validityOf(request: IssueRequest): { readonly notBefore: number; readonly notAfter: number };
}

const maxRequestedNames = 32;
const second = 1000;

/**
 * @throws {KeylineError} LINT_FAILED, PROFILE_VIOLATION
 */
export async function compileProfile(
  profile: Profile,
  authority: Authority,
  identity: IssuerIdentity,
): Promise<CompiledProfile> {
  const { subjectOf, alternativeNamesOf } = compileNames(profile);
  const validityOf = compileValidity(profile, identity.certificate.notAfter);
  const request = specimenRequest(profile);
  // The specimen stands in time where the authority does, so that an authority of the past or future lints the same.
  const { notBefore, notAfter } = validityOf({ ...request, now: identity.certificate.notBefore });
  const crlShards = profile.crlDistributionPoint ? authority.crlShards : undefined;
  if (crlShards !== undefined) assertShardCount(crlShards);
  const buildSpecimen = async (serial: Uint8Array): Promise<Uint8Array> => {
    const tbsDer = await buildLeafTbs({
      ...constantsOf(profile, authority, identity, serial),
      serial,
      notBefore,
      notAfter,
      subject: subjectOf(request),
      alternativeNames: alternativeNamesOf(request),
      spkiDer: request.spkiDer,
      subjectKeyId: new Uint8Array(20).fill(1),
    });
    const specimen = parseCertificate(
      der.sequence(
        tbsDer,
        algorithms[authority.signer.algorithm].signature.identifierDer,
        der.bitString(new Uint8Array(1)),
      ),
    );
    assertLeafRules(specimen, { issuer: identity.certificate, profile });
    return tbsDer;
  };
  const { extensionsTail, ...template } = cutTemplate(await buildSpecimen(specimenSerial));
  const extensionsTails = createTails(extensionsTail, authority.urls.crl, crlShards);
  if (crlShards !== undefined) {
    // The others differ from these in digits.
    for (const shard of new Set([0, crlShards - 1])) {
      const built = cutTemplate(await buildSpecimen(serialInShard(shard, crlShards)));
      assertSameTail(built.extensionsTail, extensionsTails[shard], profile);
    }
  }
  return {
    profile,
    subjectOf,
    alternativeNamesOf,
    validityOf,
    ...template,
    crlShards,
    constants: { authorityEnd: identity.certificate.notAfter, noRevAvail: profile.noRevAvail },
    extensionsTails,
  };
}

/** The template's tail once for each shard: only the distribution point differs. */
function createTails(
  tail: Uint8Array,
  crlUrl: string,
  crlShards: number | undefined,
): readonly Uint8Array[] {
  if (crlShards === undefined) return [tail];
  const reader = new DerReader(tail);
  let point: DerElement | undefined;
  while (point === undefined && !reader.isAtEnd()) {
    const element = reader.read(der.tags.sequence);
    if (reader.inside(element).readOid() === oids.cRLDistributionPoints) point = element;
  }
  if (point === undefined) {
    throw new KeylineError('INTERNAL', 'The template has no CRL distribution point to vary.');
  }
  const before = tail.subarray(0, point.start);
  const after = tail.subarray(point.end);
  return Array.from({ length: crlShards }, (_, index) => {
    const url = crlShardUrl(crlUrl, { index, count: crlShards });
    return der.concat(before, encodeExtension(encodeCrlDistributionPoints([url])), after);
  });
}

/** What all certificates of a profile have in common; the distribution point follows from the serial where there are shards. */
export function constantsOf(
  profile: Profile,
  authority: Authority,
  identity: IssuerIdentity,
  serial: Uint8Array,
): Omit<
  LeafContent,
  'serial' | 'notBefore' | 'notAfter' | 'subject' | 'alternativeNames' | 'spkiDer' | 'subjectKeyId'
> {
  const access = profile.authorityInfoAccess;
  const { urls, crlShards: count } = authority;
  const crlUrl =
    count === undefined
      ? urls.crl
      : crlShardUrl(urls.crl, { index: shardIndexOf(serial, count), count });
  return {
    issuer: { algorithm: authority.signer.algorithm, nameDer: identity.nameDer },
    keyUsage: profile.keyUsage,
    extendedKeyUsage: profile.extendedKeyUsage,
    authorityKeyId: identity.keyId,
    crlUrl: profile.crlDistributionPoint ? crlUrl : undefined,
    // A responder's own certificate is not asked about (RFC 6960 §4.2.2.2.1), and noRevAvail excludes asking (RFC 9608 §3).
    ocspUrl: access && !profile.noRevAvail && !profile.ocspNoCheck ? urls.ocsp : undefined,
    caIssuersUrl: access ? urls.caIssuers : undefined,
    ocspNoCheck: profile.ocspNoCheck,
    noRevAvail: profile.noRevAvail,
  };
}

function assertSameTail(built: Uint8Array, tail: Uint8Array | undefined, profile: Profile): void {
  if (tail !== undefined && equalBytes(built, tail)) return;
  throw new KeylineError(
    'INTERNAL',
    `The distribution point of a shard stands otherwise in certificates of the profile "${profile.name}" than @peculiar/x509 writes it.`,
  );
}

type NameSource =
  | { readonly request: 'dns' | 'ip' }
  | { readonly uri: NameTemplate }
  | { readonly dns: NameTemplate }
  | { readonly hardwareType: string; readonly serialOf: NameTemplate };

function compileNames(profile: Profile): Pick<CompiledProfile, 'subjectOf' | 'alternativeNamesOf'> {
  const context = `"${profile.name}"`;
  const subject = profile.subject.map(({ attribute, value }) => ({
    attribute,
    render: compileNameTemplate(value, context),
  }));
  const san = profile.san.map((entry): NameSource => {
    if ('request' in entry) return entry;
    if ('hardwareModule' in entry) {
      const { type, serialNumber } = entry.hardwareModule;
      return { hardwareType: type, serialOf: compileNameTemplate(serialNumber, context) };
    }
    return 'uri' in entry
      ? { uri: compileNameTemplate(entry.uri, context) }
      : { dns: compileNameTemplate(entry.dns, context) };
  });
  const allows = (kind: 'dns' | 'ip'): boolean =>
    san.some((entry) => 'request' in entry && entry.request === kind);
  const bounds = {
    dns: allows('dns') ? maxRequestedNames : 0,
    ip: allows('ip') ? maxRequestedNames : 0,
  };
  const needsName = profile.kind === 'server';

  return {
    subjectOf(request) {
      const parts: RelativeName[] = [];
      for (const { attribute, render } of subject) {
        const value = render(request);
        if (value !== undefined) parts.push({ attribute, value });
      }
      return parts;
    },
    alternativeNamesOf(request) {
      const { dnsNames = [], ipAddresses = [] } = request;
      if (dnsNames.length > bounds.dns || ipAddresses.length > bounds.ip) {
        throw new KeylineError(
          'PROFILE_VIOLATION',
          `The profile ${context} takes up to ${String(bounds.dns)} DNS names and ${String(bounds.ip)} IP addresses from a request; "${request.id}" asks for ${String(dnsNames.length)} and ${String(ipAddresses.length)}.`,
        );
      }
      const names: AlternativeName[] = [];
      for (const entry of san) {
        if ('request' in entry) {
          if (entry.request === 'dns') for (const dns of new Set(dnsNames)) names.push({ dns });
          else for (const ip of new Set(ipAddresses)) names.push({ ip });
        } else if ('uri' in entry) {
          const uri = entry.uri(request, escapeUriSegment);
          if (uri !== undefined) names.push({ uri });
        } else if ('serialOf' in entry) {
          const serialNumber = entry.serialOf(request);
          if (serialNumber !== undefined) {
            names.push({ hardwareModule: { type: entry.hardwareType, serialNumber } });
          }
        } else {
          const dns = entry.dns(request);
          if (dns !== undefined) names.push({ dns });
        }
      }
      if (needsName && !names.some((name) => 'dns' in name || 'ip' in name)) {
        throw new KeylineError(
          'PROFILE_VIOLATION',
          `A server certificate for "${request.id}" needs a DNS name or an IP address; ask for at least one.`,
        );
      }
      return names;
    },
  };
}

function compileValidity(profile: Profile, authorityEnd: number): CompiledProfile['validityOf'] {
  const backdate = parseDuration(profile.backdate);
  const fixedEnd = 'until' in profile.validity ? Date.parse(profile.validity.until) : undefined;
  const duration = 'duration' in profile.validity ? parseDuration(profile.validity.duration) : 0;
  if (Number.isNaN(fixedEnd) || (fixedEnd === undefined && duration < second)) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `The profile "${profile.name}" has no usable validity: give a duration such as 90d, or until as 9999-12-31T23:59:59Z.`,
    );
  }
  return ({ now, validity, id }) => {
    const longest = fixedEnd === undefined ? now + duration : fixedEnd;
    let end = longest;
    if (validity !== undefined) {
      end = now + validity;
      // Asking for exactly the profile's validity is asking for nothing special.
      if (
        end !== longest &&
        (!profile.allowShorterValidity || end > longest || !(validity >= second))
      ) {
        throw new KeylineError(
          'VALIDITY_NOT_ALLOWED',
          profile.allowShorterValidity
            ? `"${id}" may ask for a validity from one second up to what the profile "${profile.name}" gives, not more.`
            : `The profile "${profile.name}" gives every certificate the same validity; leave it out of the request for "${id}".`,
        );
      }
    }
    const notAfter = Math.floor(Math.min(end, authorityEnd) / second) * second;
    const notBefore = Math.floor((now - backdate) / second) * second;
    if (notAfter <= now) {
      throw new KeylineError(
        'VALIDITY_NOT_ALLOWED',
        `A certificate for "${id}" would have ended already: the authority or the profile's validity has run out.`,
      );
    }
    return { notBefore, notAfter };
  };
}

function cutTemplate(tbsDer: Uint8Array): Pick<
  CompiledProfile,
  'extensionsHead' | 'signatureAlgorithmAndIssuer'
> & {
  readonly extensionsTail: Uint8Array;
} {
  const tbs = readSequence(tbsDer);
  tbs.read(der.contextConstructedTag(0));
  tbs.read(der.tags.integer);
  const algorithm = tbs.read(der.tags.sequence);
  const issuer = tbs.read(der.tags.sequence);
  for (let skipped = 0; skipped < 3; skipped++) tbs.read(der.tags.sequence);
  const extensions = tbs.enter(der.contextConstructedTag(3)).enter();
  const start = extensions.offset;
  let headEnd: number | undefined;
  let tailStart = start;
  while (!extensions.isAtEnd()) {
    const element = extensions.read(der.tags.sequence);
    const oid = extensions.inside(element).readOid();
    if (oid === oids.subjectAltName || oid === oids.subjectKeyIdentifier) {
      headEnd ??= element.start;
      tailStart = element.end;
    }
  }
  return {
    signatureAlgorithmAndIssuer: tbsDer.slice(algorithm.start, issuer.end),
    extensionsHead: tbsDer.slice(start, headEnd),
    extensionsTail: tbsDer.slice(tailStart, extensions.end),
  };
}
