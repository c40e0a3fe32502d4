import { isKeylineError, type SerialHex } from '@keyline/kernel';
import { der, oids, parseCertificate, type Signer } from '@keyline/x509';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { readFile } from 'node:fs/promises';
import { has } from '../../../test/support/needs.ts';
import {
  createIssuer,
  createOcspResponder,
  ocspError,
  parseOcspRequest,
  type CertificateStatus,
  type OcspResponder,
} from '../src/index.ts';
import { ocspDigests, type OcspDigest } from '../src/ocsp-request.ts';
import {
  certificateBlock,
  createHierarchy,
  createTestSigner,
  deviceProfile,
  ocspProfile,
  profilesOf,
  Workbench,
  type Hierarchy,
} from './hierarchy.ts';

// openssl ocsp has no clock to set.
const now = Math.floor(Date.now() / 1000) * 1000;
let hierarchy: Hierarchy;
let responderOptions: { certificateDer: Uint8Array; signer: Signer };
let responder: OcspResponder;
let leafDer: Uint8Array;
let leafSerial: SerialHex;

beforeAll(async () => {
  hierarchy = await createHierarchy({ at: now });
  const issuer = await createIssuer(hierarchy.issuing, profilesOf(deviceProfile, ocspProfile));
  const signer = createTestSigner('ec-p256');
  const key = { spkiDer: signer.spkiDer, algorithm: signer.algorithm, now };
  const own = await issuer.issue({ profile: 'ocsp-responder', id: 'ocsp@keyline', ...key });
  responderOptions = { certificateDer: own.der, signer };
  responder = createOcspResponder({ authority: hierarchy.issuing, responder: responderOptions });
  const leaf = createTestSigner('ec-p256');
  const issued = await issuer.issue({
    profile: 'device-client',
    id: 'pump-1',
    spkiDer: leaf.spkiDer,
    algorithm: leaf.algorithm,
    now,
  });
  leafDer = issued.der;
  leafSerial = issued.serial;
});

const sha1 = der.sequence(der.oid(oids.sha1), der.nullValue());
const certIdOf = (parts: { algorithm?: Uint8Array; serial?: Uint8Array } = {}): Uint8Array =>
  der.sequence(
    parts.algorithm ?? sha1,
    der.octetString(new Uint8Array(20)),
    der.octetString(new Uint8Array(20)),
    parts.serial ?? der.integer(1),
  );
const requestOf = (certIds: Uint8Array[], ...rest: Uint8Array[]): Uint8Array =>
  der.sequence(
    der.sequence(der.sequence(...certIds.map((certId) => der.sequence(certId))), ...rest),
  );
const nonceOf = (bytes: number): Uint8Array =>
  der.explicit(
    2,
    der.sequence(
      der.sequence(
        der.oid(oids.ocspNonce),
        der.octetString(der.octetString(new Uint8Array(bytes))),
      ),
    ),
  );
const codeOf = (bytes: Uint8Array): string | undefined => {
  try {
    parseOcspRequest(bytes);
    return undefined;
  } catch (error) {
    if (!isKeylineError(error)) throw error;
    return error.code;
  }
};

describe('parseOcspRequest', () => {
  it.each([1, 32, 128])('takes a nonce of %i octets (RFC 9654 §2.1)', (bytes) => {
    expect(parseOcspRequest(requestOf([certIdOf()], nonceOf(bytes))).nonce).toHaveLength(bytes);
  });

  it.each([0, 129])('refuses a nonce of %i octets (RFC 9654 §2.1)', (bytes) => {
    expect(codeOf(requestOf([certIdOf()], nonceOf(bytes)))).toBe('OCSP_MALFORMED');
  });

  it('tells serials that no certificate can have from those it can', () => {
    const serialOf = (serial: Uint8Array): string | undefined =>
      parseOcspRequest(requestOf([certIdOf({ serial })])).certIds[0]?.serial;
    expect(serialOf(der.integer(0))).toBe('00');
    expect(serialOf(der.integer(-5))).toBe('-fb');
    expect(serialOf(der.integer(0x80))).toBe('80');
    expect(serialOf(der.integer(0x1234))).toBe('1234');
  });

  it('takes several certificates, an explicit version, a requestor name and a digest it does not know', () => {
    const list = der.sequence(
      der.sequence(certIdOf()),
      der.sequence(certIdOf({ algorithm: der.sequence(der.oid('2.16.840.1.101.3.4.2.4')) })),
    );
    const request = der.sequence(
      der.sequence(
        der.explicit(0, der.integer(0)),
        der.explicit(1, der.explicit(4, der.sequence())),
        list,
      ),
    );
    expect(parseOcspRequest(request).certIds.map(({ hashAlgorithm }) => hashAlgorithm)).toEqual([
      'sha1',
      'other',
    ]);
  });

  const hostile: [string, Uint8Array][] = [
    ['nothing', new Uint8Array()],
    ['64 KB of noise', new Uint8Array(65_536).fill(0x30)],
    ['no certificate', requestOf([])],
    ['65 certificates', requestOf(Array.from({ length: 65 }, () => certIdOf()))],
    ['trailing bytes', Buffer.concat([requestOf([certIdOf()]), Buffer.of(0)])],
    [
      'version 2',
      der.sequence(
        der.sequence(der.explicit(0, der.integer(1)), der.sequence(der.sequence(certIdOf()))),
      ),
    ],
    [
      'a padded serial (X.690 §8.3.2)',
      requestOf([certIdOf({ serial: Uint8Array.of(2, 2, 0, 1) })]),
    ],
    [
      'an unknown critical extension',
      requestOf(
        [certIdOf()],
        der.explicit(
          2,
          der.sequence(
            der.sequence(der.oid('1.2.3'), der.boolean(true), der.octetString(new Uint8Array())),
          ),
        ),
      ),
    ],
    ['an indefinite length (X.690 §10.1)', Uint8Array.of(0x30, 0x80, 0, 0)],
  ];
  it.each(hostile)('refuses %s', (_title, bytes) => {
    expect(codeOf(bytes)).toBe('OCSP_MALFORMED');
  });

  it('never throws anything but OCSP_MALFORMED on noise', () => {
    const valid = requestOf([certIdOf()], nonceOf(16));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc
            .tuple(fc.nat(valid.length - 1), fc.integer({ min: 0, max: 255 }))
            .map(([at, octet]) => {
              const bytes = Uint8Array.from(valid);
              bytes[at] = octet;
              return bytes;
            }),
        ),
        (bytes) => {
          expect([undefined, 'OCSP_MALFORMED']).toContain(codeOf(bytes));
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('createOcspResponder', () => {
  it('refuses a responder that relying parties would refuse (RFC 6960 §4.2.2.2)', async () => {
    const other = await createHierarchy({ at: now });
    const leaf = { certificateDer: leafDer, signer: responderOptions.signer };
    const create = (authority: Hierarchy['issuing'], responder: typeof leaf) => () =>
      createOcspResponder({ authority, responder });
    expect(create(other.issuing, responderOptions)).toThrow(/not signed by the authority/);
    expect(create(hierarchy.issuing, leaf)).toThrow(/not the one given to sign/);
    const spkiDer = parseCertificate(leafDer).spkiDer;
    expect(create(hierarchy.issuing, { ...leaf, signer: { ...leaf.signer, spkiDer } })).toThrow(
      /not OCSPSigning/,
    );
  });

  it('matches only when name hash and key hash are both the authority’s (RFC 6960 §4.1.1)', () => {
    const certId = parseOcspRequest(requestOf([certIdOf()])).certIds[0]!;
    expect(responder.matches(certId)).toBe(false);
  });

  it('answers errors without a signature (RFC 6960 §4.2.1)', () => {
    expect(Buffer.from(ocspError('malformedRequest')).toString('hex')).toBe('30030a0101');
    expect(Buffer.from(ocspError('internalError')).toString('hex')).toBe('30030a0102');
    expect(Buffer.from(ocspError('tryLater')).toString('hex')).toBe('30030a0103');
    expect(Buffer.from(ocspError('unauthorized')).toString('hex')).toBe('30030a0106');
  });
});

describe.skipIf(!has('openssl', 'certtool'))('openssl ocsp', () => {
  async function ask(
    status: CertificateStatus,
    digest: OcspDigest,
    ...flags: string[]
  ): Promise<string> {
    const bench = await Workbench.create();
    await bench.put('root.pem', certificateBlock(hierarchy.root.certificateDer));
    await bench.put('issuing.pem', certificateBlock(hierarchy.issuing.certificateDer));
    await bench.put('leaf.pem', certificateBlock(leafDer));
    const certId = [`-${digest}`, '-issuer', 'issuing.pem', '-cert', 'leaf.pem'];
    const made = await bench.run('openssl', 'ocsp', ...certId, ...flags, '-reqout', 'request.der');
    expect(made.code).toBe(0);
    const request = parseOcspRequest(await readFile(bench.path('request.der')));
    expect(request.certIds).toMatchObject([{ hashAlgorithm: digest, serial: leafSerial }]);
    expect(request.certIds.every((certId) => responder.matches(certId))).toBe(true);
    const answer = await responder.respond({
      responses: request.certIds.map((certId) => ({ certId, status })),
      producedAt: now,
      thisUpdate: now,
      nextUpdate: now + 3_600_000,
      nonce: request.nonce,
    });
    await bench.putBytes('answer.der', answer);
    const read = await bench.run(
      'openssl',
      ...['ocsp', ...certId, '-reqin', 'request.der', '-respin', 'answer.der', '-no_nonce'],
      ...['-CAfile', 'root.pem', '-verify_other', 'issuing.pem', '-resp_text'],
    );
    return read.output;
  }

  it.each(ocspDigests)('accepts "good" for a %s CertID, with nonce', async (digest) => {
    const output = await ask({ status: 'good' }, digest);
    expect(output).toContain('Response verify OK');
    expect(output).toContain('leaf.pem: good');
    expect(output).not.toContain('WARNING');
  });

  it('accepts "revoked" with reason and time', async () => {
    const output = await ask(
      { status: 'revoked', revokedAt: now - 60_000, reason: 'keyCompromise' },
      'sha256',
      '-no_nonce',
    );
    expect(output).toContain('Response verify OK');
    expect(output).toContain('leaf.pem: revoked');
    expect(output).toContain('Reason: keyCompromise');
  });

  it('accepts "revoked" without a reason, and "unknown"', async () => {
    const revoked = await ask({ status: 'revoked', revokedAt: now, reason: 'unspecified' }, 'sha1');
    expect(revoked).toContain('leaf.pem: revoked');
    expect(revoked).not.toContain('Reason:');
    expect(await ask({ status: 'unknown' }, 'sha1')).toContain('leaf.pem: unknown');
  });
});
