// Issuance: a request and a profile become a signed certificate, by splicing a handful of fields into a template that was linted
// when the profile was loaded, linting what came of it, and signing just that.
import { hash } from 'node:crypto';
import { KeylineError, type SerialHex } from '@keyline/kernel';
import {
  der,
  encodeAlternativeNames,
  encodeExtension,
  encodeName,
  hexOf,
  oids,
  parseCertificate,
  parsePublicKey,
  type ParsedNameConstraints,
} from '@keyline/x509';
import { compileProfile, type CompiledProfile } from './compiled-profile.ts';
import { crlShardName, shardIndexOf } from './crl-shards.ts';
import { readIssuer } from './issuer-identity.ts';
import { findNameFault, nameConstraintsOf } from './name-constraints.ts';
import type { Authority, IssuedCertificate, IssueRequest } from './ports.ts';
import type { Profiles } from './profile.ts';
import { prepareLeaf, type PreparedCertificate } from './prepared-certificate.ts';
import { createSerial } from './serial.ts';
import { keyIdOf } from './subject-key-id.ts';

const versionDer = der.explicit(0, der.integer(2));

/**
 * Reads the authority and compiles every profile: templates are built and linted here, so issuing can't meet a bad profile.
 * @throws {KeylineError} LINT_FAILED, PROFILE_VIOLATION, PATH_INVALID
 */
export async function createIssuer(authority: Authority, profiles: Profiles): Promise<Issuer> {
  const identity = readIssuer(authority);
  const compiled = new Map<string, CompiledProfile>();
  for (const [name, profile] of profiles) {
    compiled.set(name, await compileProfile(profile, authority, identity));
  }
  return new Issuer(authority, compiled);
}

/** One authority with its profiles. Made by `createIssuer`. */
export class Issuer {
  readonly authority: Authority;
  readonly #profiles: ReadonlyMap<string, CompiledProfile>;
  /** What the authority's own certificate lets it name. */
  readonly #nameConstraints: ParsedNameConstraints | undefined;
  #validity = { notBefore: Number.NaN, notAfter: Number.NaN, der: new Uint8Array() };

  constructor(authority: Authority, profiles: ReadonlyMap<string, CompiledProfile>) {
    this.authority = authority;
    this.#profiles = profiles;
    this.#nameConstraints = nameConstraintsOf(parseCertificate(authority.certificateDer));
  }

  /**
   * Prepared, linted, signed.
   * @throws {KeylineError} PROFILE_UNKNOWN, PROFILE_VIOLATION, CSR_ALGORITHM_NOT_ALLOWED, VALIDITY_NOT_ALLOWED, DER_MALFORMED, LINT_FAILED
   */
  async issue(request: IssueRequest): Promise<IssuedCertificate> {
    const prepared = this.prepare(request);
    return { ...prepared.facts, der: await prepared.sign() };
  }

  /** What `issue` signs: linted, with a serial of its own, and to be signed once. @throws {KeylineError} as `issue` */
  prepare(request: IssueRequest): PreparedCertificate<Omit<IssuedCertificate, 'der'>> {
    const compiled = this.#profiles.get(request.profile);
    if (compiled === undefined) {
      throw new KeylineError(
        'PROFILE_UNKNOWN',
        `There is no profile "${request.profile}". Known: ${[...this.#profiles.keys()].join(', ')}.`,
      );
    }
    const publicKey = readPublicKey(compiled, request);
    const { notBefore, notAfter } = compiled.validityOf(request);
    const subject = compiled.subjectOf(request);
    const names = compiled.alternativeNamesOf(request);
    if (subject.length === 0 && names.length === 0) {
      throw new KeylineError(
        'PROFILE_VIOLATION',
        `The profile "${request.profile}" gives "${request.id}" neither a subject nor a subjectAltName (RFC 5280 §4.1.2.6).`,
      );
    }
    const subjectDer = encodeName(subject);
    const alternativeNames =
      names.length === 0
        ? undefined
        : {
            oid: oids.subjectAltName,
            critical: subject.length === 0,
            valueDer: encodeAlternativeNames(names),
          };
    if (this.#nameConstraints !== undefined) {
      const extensions = alternativeNames === undefined ? [] : [alternativeNames];
      assertPermitted(this.#nameConstraints, { subjectDer, extensions }, request);
    }
    const keyId = keyIdOf(publicKey);
    const serial = createSerial();
    const { crlShards } = compiled;
    const shard = crlShards === undefined ? 0 : shardIndexOf(serial, crlShards);
    const extensions = der.sequence(
      compiled.extensionsHead,
      alternativeNames === undefined ? nothing : encodeExtension(alternativeNames),
      skiHead,
      keyId,
      compiled.extensionsTails[shard] ?? nothing,
    );
    const parts = [
      versionDer,
      serialHead,
      serial,
      compiled.signatureAlgorithmAndIssuer,
      this.#encodeValidity(notBefore, notAfter),
      subjectDer,
      request.spkiDer,
      der.explicit(3, extensions),
    ];
    return prepareLeaf(parts, {
      signer: this.authority.signer,
      compiled,
      meaning: { id: request.id, spkiDer: request.spkiDer, keyId, notBefore, notAfter },
      describe: (linted) => ({
        authority: this.authority.id,
        serial: hexOf(linted.serial) as SerialHex,
        notBefore,
        notAfter,
        spkiSha256: hash('sha256', request.spkiDer, 'hex'),
        ...(crlShards === undefined
          ? {}
          : { crlShard: crlShardName({ index: linted.shard, count: crlShards }) }),
      }),
    });
  }

  /** Certificates of one second share their validity more often than not. */
  #encodeValidity(notBefore: number, notAfter: number): Uint8Array {
    if (this.#validity.notBefore !== notBefore || this.#validity.notAfter !== notAfter) {
      const encoded = der.sequence(der.time(notBefore), der.time(notAfter));
      this.#validity = { notBefore, notAfter, der: encoded };
    }
    return this.#validity.der;
  }
}

/** A certificate that no relying party would accept is not issued (RFC 5280 §4.2.1.10). */
function assertPermitted(
  constraints: ParsedNameConstraints,
  names: Parameters<typeof findNameFault>[0],
  request: IssueRequest,
): void {
  const fault = findNameFault(names, constraints);
  if (fault === undefined) return;
  throw new KeylineError(
    'PROFILE_VIOLATION',
    `The authority may not issue this certificate for "${request.id}": ${fault} by the name constraints of its own certificate (RFC 5280 §4.2.1.10).`,
  );
}

const nothing = new Uint8Array();
const keyIdBytes = 20;
// SEQUENCE { OID, OCTET STRING { OCTET STRING (20) } } up to the identifier itself, and INTEGER (17) up to the serial.
const skiHead = encodeExtension({
  oid: oids.subjectKeyIdentifier,
  critical: false,
  valueDer: der.octetString(new Uint8Array(keyIdBytes)),
}).slice(0, -keyIdBytes);
const serialHead = der.unsignedInteger(createSerial()).slice(0, 2);

function readPublicKey(compiled: CompiledProfile, request: IssueRequest): Uint8Array {
  const { algorithm, publicKey } = parsePublicKey(request.spkiDer);
  const { profile } = compiled;
  if (algorithm !== request.algorithm || !profile.keyAlgorithms.includes(algorithm)) {
    throw new KeylineError(
      'CSR_ALGORITHM_NOT_ALLOWED',
      `The key of "${request.id}" is ${algorithm}; the profile "${profile.name}" allows ${profile.keyAlgorithms.join(', ')}.`,
    );
  }
  return publicKey;
}
