// Prepare, lint, sign: what is signed is what was linted, byte for byte, and once.
import { der, oids, parseCertificate, type Signer } from '@keyline/x509';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { compileProfile, type CompiledProfile } from '../src/compiled-profile.ts';
import {
  createIssuer,
  createRootCertificate,
  type Authority,
  type Issuer,
  type Profile,
} from '../src/index.ts';
import { readIssuer } from '../src/issuer-identity.ts';
import { lintSpliced, type SplicedMeaning } from '../src/lint-spliced.ts';
import { lintLeaf } from '../src/lint.ts';
import { subjectKeyIdOf } from '../src/subject-key-id.ts';
import {
  createHierarchy,
  createTestSigner,
  deviceProfile,
  now,
  profilesOf,
  serverProfile,
  type Hierarchy,
} from './hierarchy.ts';

const key = createTestSigner('ec-p256');
const request = {
  profile: 'device-client',
  id: 'pump-1',
  type: 'pump',
  spkiDer: key.spkiDer,
  algorithm: key.algorithm,
  now,
} as const;
const bareProfile: Profile = { ...deviceProfile, name: 'bare', subject: [] };

let hierarchy: Hierarchy;
let authority: Authority;
let issuer: Issuer;
/** What was given to the authority's key. */
let signed: Uint8Array[];
beforeAll(async () => {
  hierarchy = await createHierarchy();
  const { signer } = hierarchy.issuing;
  const watched: Signer = {
    ...signer,
    sign(toBeSigned) {
      signed.push(toBeSigned.slice());
      return signer.sign(toBeSigned);
    },
  };
  authority = { ...hierarchy.issuing, signer: watched, crlShards: 4 };
  signed = [];
  issuer = await createIssuer(authority, profilesOf(deviceProfile, serverProfile, bareProfile));
});

describe('a prepared certificate', () => {
  it('is signed as it was linted, and says before what it will say', async () => {
    signed = [];
    const prepared = issuer.prepare(request);
    expect(signed).toHaveLength(0);
    const certificate = parseCertificate(await prepared.sign());
    expect(signed).toHaveLength(1);
    expect(Buffer.compare(certificate.tbsDer, signed[0] ?? new Uint8Array())).toBe(0);
    const { serial, notBefore, notAfter, spkiSha256 } = certificate;
    expect(prepared.facts).toMatchObject({ serial, notBefore, notAfter, spkiSha256 });
  });

  it('is used up by signing: a serial stands in one certificate (RFC 5280 §4.1.2.2)', async () => {
    const prepared = issuer.prepare(request);
    await prepared.sign();
    await expect(prepared.sign()).rejects.toThrow(/INTERNAL.*signed once/);
    signed = [];
    await Promise.allSettled([prepared.sign(), prepared.sign()]);
    expect(signed).toHaveLength(0);
  });

  it('is used up also when the key fails', async () => {
    const broken: Signer = { ...authority.signer, sign: () => Promise.reject(new Error('HSM')) };
    const failing = await createIssuer({ ...authority, signer: broken }, profilesOf(deviceProfile));
    const prepared = failing.prepare(request);
    await expect(prepared.sign()).rejects.toThrow('HSM');
    await expect(prepared.sign()).rejects.toThrow(/signed once/);
  });

  it('has its bytes out of everybody’s reach', () => {
    expect(Object.keys(issuer.prepare(request))).toEqual(['facts']);
  });
});

describe('an authority’s certificate', () => {
  it('that breaks a rule is never signed (RFC 5280 §4.1.2.5)', async () => {
    let asked = 0;
    const signer: Signer = {
      ...key,
      sign(toBeSigned) {
        asked++;
        return key.sign(toBeSigned);
      },
    };
    const options = { signer, commonName: 'Backwards', now };
    const ending = { ...options, validity: -86_400_000 };
    await expect(createRootCertificate(ending)).rejects.toThrow(/LINT_FAILED.*before it begins/);
    expect(asked).toBe(0);
    await createRootCertificate({ ...options, validity: 86_400_000 });
    expect(asked).toBe(1);
  });

  it('whose signature is wrong does not leave (RFC 5280 §4.1.1.3)', async () => {
    const signer: Signer = { ...key, sign: () => new Uint8Array(70).fill(7) };
    const given = { signer, commonName: 'Root', now, validity: 86_400_000 };
    await expect(createRootCertificate(given)).rejects.toThrow(/LINT_FAILED.*does not verify/);
  });
});

describe('an authority whose name can’t be taken apart', () => {
  it('is refused before anything is issued by it (X.690 §8.19.2)', async () => {
    const certificateDer = Buffer.from(hierarchy.issuing.certificateDer);
    // The last octet of the subject's attribute type says that another one follows.
    const commonName = Buffer.from(der.oid(oids.commonName));
    certificateDer[certificateDer.lastIndexOf(commonName) + commonName.length - 1] = 0x83;
    await expect(
      createIssuer({ ...hierarchy.issuing, certificateDer }, profilesOf(deviceProfile)),
    ).rejects.toMatchObject({ code: 'LINT_FAILED' });
  });
});

describe('the lint of spliced bytes', () => {
  let compiled: CompiledProfile;
  let bare: CompiledProfile;
  let server: CompiledProfile;
  let meaning: SplicedMeaning;
  let good: Uint8Array;
  beforeAll(async () => {
    const identity = readIssuer(authority);
    compiled = await compileProfile(deviceProfile, authority, identity);
    bare = await compileProfile(bareProfile, authority, identity);
    server = await compileProfile(serverProfile, authority, identity);
    const { der: certificateDer, notBefore, notAfter } = await issuer.issue(request);
    good = parseCertificate(certificateDer).tbsDer.slice();
    const keyId = subjectKeyIdOf(key.spkiDer);
    meaning = { id: 'pump-1', spkiDer: key.spkiDer, keyId, notBefore, notAfter };
  });
  const lint = (bytes: Uint8Array, by = compiled, about = meaning): unknown =>
    lintSpliced(bytes, by, about);
  /** The parts of the TBSCertificate: version, serial, algorithm, issuer, validity, subject, key, extensions. */
  const partsOf = (bytes: Uint8Array): Uint8Array[] => elementsOf(bytes);
  const withPart = (index: number, part: Uint8Array): Uint8Array =>
    der.sequence(...partsOf(good).with(index, part));
  const extensionsOf = (bytes: Uint8Array): Uint8Array[] =>
    elementsOf(elementsOf(partsOf(bytes)[7] ?? bytes)[0] ?? bytes);
  const withExtensions = (change: (all: Uint8Array[]) => Uint8Array[]): Uint8Array =>
    withPart(7, der.explicit(3, der.sequence(...change(extensionsOf(good)))));
  const name = (...texts: readonly Uint8Array[]): Uint8Array =>
    der.sequence(...texts.map((text) => der.set(der.sequence(der.oid('2.5.4.3'), text))));
  const san = (critical: boolean, ...names: readonly Uint8Array[]): Uint8Array =>
    der.sequence(
      der.oid(oids.subjectAltName),
      ...(critical ? [der.boolean(true)] : []),
      der.octetString(der.sequence(...names)),
    );
  const uri = der.implicit(6, der.ia5String('urn:keyline:device:pump-1'));
  const sanAt = 2;
  const time = (text: string): Uint8Array =>
    text.length === 13
      ? der.element(der.tags.utcTime, Buffer.from(text))
      : der.element(der.tags.generalizedTime, Buffer.from(text));

  it('passes what issuing makes', () => {
    expect(() => lint(good)).not.toThrow();
    expect(extensionsOf(good)[sanAt]).toEqual(san(false, uri));
  });

  it.each<[string, RegExp, () => Uint8Array]>([
    [
      'another version (RFC 5280 §4.1.2.1)',
      /v3/,
      () => withPart(0, der.explicit(0, der.integer(1))),
    ],
    ['a negative serial (§4.1.2.2)', /serial/, () => withPart(1, der.integer(-(2n ** 130n)))],
    ['a serial of zero (§4.1.2.2)', /serial/, () => withPart(1, der.integer(0))],
    ['a serial of 21 octets (§4.1.2.2)', /serial/, () => withPart(1, der.integer(2n ** 160n))],
    ['a serial of 56 bits (§4.1.2.2)', /serial/, () => withPart(1, der.integer(2n ** 54n))],
    [
      'another signature algorithm (§4.1.2.3)',
      /algorithm/,
      () => withPart(2, der.sequence(der.oid('1.2.840.10045.4.3.3'))),
    ],
    ['another issuer (§4.1.2.4)', /issuer/, () => withPart(3, name(der.utf8String('Other')))],
    [
      'another time than was meant (§4.1.2.5)',
      /another time/,
      () => withPart(4, der.sequence(der.time(now - 1000), der.time(meaning.notAfter))),
    ],
    [
      'a time without seconds (§4.1.2.5)',
      /no known form/,
      () => withPart(4, der.sequence(time('2606011200Z'), der.time(meaning.notAfter))),
    ],
    [
      'GeneralizedTime before 2050 (§4.1.2.5)',
      /no known form/,
      () => withPart(4, der.sequence(time('20260601115500Z'), der.time(meaning.notAfter))),
    ],
    [
      'a third time',
      /another time/,
      () => {
        const validity = elementsOf(partsOf(good)[4] ?? good);
        return withPart(4, der.sequence(...validity, der.time(now)));
      },
    ],
    [
      'text that is not UTF-8',
      /attribute/,
      () => withPart(5, name(der.element(der.tags.utf8String, Uint8Array.of(0x61, 0x80)))),
    ],
    [
      'an attribute that no profile gives',
      /DER|attribute/,
      () =>
        withPart(5, der.sequence(der.set(der.sequence(der.oid('2.5.4.7'), der.utf8String('a'))))),
    ],
    ['an empty attribute', /attribute/, () => withPart(5, name(der.utf8String('')))],
    ['a control character', /attribute/, () => withPart(5, name(der.utf8String('a\nb')))],
    [
      'an attribute of 257 octets',
      /attribute/,
      () => withPart(5, name(der.utf8String('a'.repeat(257)))),
    ],
    ['an attribute of another type', /DER/, () => withPart(5, name(der.ia5String('pump-1')))],
    [
      'two attributes in one set',
      /attribute/,
      () => {
        const one = der.sequence(der.oid('2.5.4.3'), der.utf8String('a'));
        return withPart(5, der.sequence(der.set(one, one)));
      },
    ],
    [
      'another key (§4.1.2.7)',
      /another key/,
      () => withPart(6, createTestSigner('ec-p256').spkiDer),
    ],
    [
      'no subject and a subjectAltName that is not critical (§4.2.1.6)',
      /critical/,
      () => withPart(5, der.sequence()),
    ],
    [
      'a subject and a critical subjectAltName (§4.2.1.6)',
      /critical/,
      () => withExtensions((all) => all.with(sanAt, san(true, uri))),
    ],
    [
      'a subjectAltName without names (§4.2.1.6)',
      /no name/,
      () => withExtensions((all) => all.with(sanAt, san(false))),
    ],
    [
      'a name that is no IA5String (§4.2.1.6)',
      /IA5String/,
      () =>
        withExtensions((all) =>
          all.with(sanAt, san(false, der.implicit(6, der.utf8String('urn:ü')))),
        ),
    ],
    [
      'an address of five octets (§4.2.1.6)',
      /octets/,
      () =>
        withExtensions((all) =>
          all.with(sanAt, san(false, der.implicit(7, der.octetString(new Uint8Array(5))))),
        ),
    ],
    [
      'a mail address, which no profile gives (§4.2.1.6)',
      /kind/,
      () =>
        withExtensions((all) =>
          all.with(sanAt, san(false, der.implicit(1, der.ia5String('a@b.c')))),
        ),
    ],
    [
      'a device with nothing but an address (§4.2.1.12)',
      /identity/,
      () =>
        withExtensions((all) =>
          all.with(sanAt, san(false, der.implicit(7, der.octetString(new Uint8Array(4))))),
        ),
    ],
    [
      'no subjectAltName of a device (§4.2.1.12)',
      /identity/,
      () => withExtensions((all) => all.toSpliced(sanAt, 1)),
    ],
    [
      'two of them',
      /key identifier/,
      () => withExtensions((all) => all.toSpliced(sanAt, 0, san(false, uri))),
    ],
    [
      'no subject key identifier (§4.2.1.2)',
      /key identifier/,
      () => withExtensions((all) => all.toSpliced(sanAt + 1, 1)),
    ],
    [
      'the identifier of another key (§4.2.1.2)',
      /key identifier/,
      () =>
        withExtensions((all) =>
          all.with(
            sanAt + 1,
            der.sequence(
              der.oid(oids.subjectKeyIdentifier),
              der.octetString(der.octetString(new Uint8Array(20))),
            ),
          ),
        ),
    ],
    ['an extension less', /not what was linted/, () => withExtensions((all) => all.slice(0, -1))],
    ['an extension more', /extensions/, () => withExtensions((all) => [...all, san(false, uri)])],
    [
      'extensions in another order',
      /not what was linted/,
      () => withExtensions((all) => [all[1]!, all[0]!, ...all.slice(2)]),
    ],
    [
      'cA (§4.2.1.9)',
      /not what was linted|key identifier/,
      () =>
        withExtensions((all) => [
          der.sequence(
            der.oid(oids.basicConstraints),
            der.octetString(der.sequence(der.boolean(true))),
          ),
          ...all,
        ]),
    ],
    [
      'something after the extensions',
      /extensions/,
      () => der.sequence(...partsOf(good), der.nullValue()),
    ],
    ['something after it', /follows/, () => der.concat(good, der.nullValue())],
    ['less than all', /DER/, () => good.subarray(0, -1)],
  ])('refuses %s', (_title, finding, change) => {
    const changed = change();
    expect(() => lint(changed)).toThrow(finding);
    expect(() => lint(changed)).toThrow(/^LINT_FAILED: .*"pump-1".*Nothing was signed\.$/);
  });

  it('refuses the distribution point of another shard than the serial’s (RFC 5280 §5.2.5)', () => {
    const serial = partsOf(good)[1]!.slice();
    serial[serial.length - 1]! ^= 1;
    expect(() => lint(withPart(1, serial))).toThrow(/not what was linted/);
  });

  it('refuses what ends after its authority, or lives too long without revocation (RFC 9608 §1)', () => {
    const { constants } = compiled;
    const earlier = {
      ...compiled,
      constants: { ...constants, authorityEnd: meaning.notAfter - 1000 },
    };
    expect(() => lint(good, earlier)).toThrow(/after the authority/);
    const short = { ...compiled, constants: { ...constants, noRevAvail: true } };
    expect(() => lint(good, short)).toThrow(/7 days/);
  });

  it('refuses a server without DNS name or address (RFC 9525 §2), and what is of another profile', async () => {
    const issued = await issuer.issue({
      ...request,
      profile: serverProfile.name,
      dnsNames: ['broker.example.com'],
    });
    const { tbsDer, notBefore, notAfter } = parseCertificate(issued.der);
    const about = { ...meaning, notBefore, notAfter };
    expect(() => lint(tbsDer, server, about)).not.toThrow();
    expect(() => lint(tbsDer, compiled, about)).toThrow(/not what was linted/);
    const parts = partsOf(tbsDer);
    const all = elementsOf(elementsOf(parts[7]!)[0]!);
    const at = all.findIndex((one) => Buffer.from(one).includes(der.oid(oids.subjectAltName)));
    const named = der.explicit(3, der.sequence(...all.with(at, san(false, uri))));
    expect(() => lint(der.sequence(...parts.with(7, named)), server, about)).toThrow(/RFC 9525/);
  });

  it('takes a critical subjectAltName where there is no subject (RFC 5280 §4.2.1.6)', async () => {
    const issued = await issuer.issue({ ...request, profile: 'bare' });
    const { tbsDer, notBefore, notAfter } = parseCertificate(issued.der);
    const about = { ...meaning, notBefore, notAfter };
    expect(() => lint(tbsDer, bare, about)).not.toThrow();
    const parts = partsOf(tbsDer);
    const all = elementsOf(elementsOf(parts[7]!)[0]!);
    const at = all.findIndex((one) => Buffer.from(one).includes(der.oid(oids.subjectAltName)));
    const without = der.explicit(3, der.sequence(...all.toSpliced(at, 1)));
    expect(() => lint(der.sequence(...parts.with(7, without)), bare, about)).toThrow(/neither/);
  });

  it('passes no bytes that the lint of whole certificates would refuse, whatever happens to them', () => {
    const issuing = parseCertificate(authority.certificateDer);
    const whole = (tbs: Uint8Array): Uint8Array =>
      der.sequence(
        tbs,
        der.sequence(der.oid('1.2.840.10045.4.3.2')),
        der.bitString(new Uint8Array(70)),
      );
    let passed = 0;
    let refused = 0;
    const change = fc.record({
      at: fc.nat(good.length - 1),
      remove: fc.integer({ min: 0, max: 3 }),
      insert: fc.uint8Array({ maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 2 }), (changes) => {
        let bytes = Buffer.from(good);
        for (const { at, remove, insert } of changes) {
          bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
        }
        try {
          lint(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'LINT_FAILED' });
          refused++;
          return;
        }
        passed++;
        const certificate = parseCertificate(whole(bytes));
        expect(lintLeaf(certificate, { issuer: issuing, profile: deviceProfile })).toEqual([]);
        expect(certificate.spkiDer).toEqual(Uint8Array.from(key.spkiDer));
        expect(certificate.isCa).toBe(false);
      }),
      { numRuns: 5000, examples: [[[{ at: 20, remove: 0, insert: new Uint8Array() }]]] },
    );
    expect(refused).toBeGreaterThan(passed);
    expect(passed).toBeGreaterThan(0);
  });
});

/** The elements inside an element of one or two octets of length and more. */
function elementsOf(bytes: Uint8Array): Uint8Array[] {
  const [, contentStart] = headerOf(bytes, 0);
  const elements: Uint8Array[] = [];
  for (let at = contentStart; at < bytes.length;) {
    const [end] = headerOf(bytes, at);
    elements.push(bytes.subarray(at, end));
    at = end;
  }
  return elements;
}

function headerOf(bytes: Uint8Array, at: number): [end: number, contentStart: number] {
  const first = bytes[at + 1] ?? 0;
  const octets = first < 0x80 ? 0 : first & 0x7f;
  let length = octets === 0 ? first : 0;
  for (let i = 0; i < octets; i++) length = length * 256 + (bytes[at + 2 + i] ?? 0);
  const contentStart = at + 2 + octets;
  return [contentStart + length, contentStart];
}
