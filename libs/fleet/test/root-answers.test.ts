// OCSP answers that came with a root's CRL: taken only when the root signed them, for the same time, to say the same.
import { Duration } from '@keyline/kernel';
import { createCrl, createPresignedAnswers, ocspError } from '@keyline/pki';
import { parseCertificate } from '@keyline/x509';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHierarchy, now, type Hierarchy } from '../../pki/test/hierarchy.ts';
import { importRootCrl, readRootAnswers } from '../src/index.ts';
import { codeOf, openTestFleet, type TestFleet } from './test-fleet.ts';

const hierarchy = createHierarchy({ at: now });
const stranger = createHierarchy({ at: now });
let fleet: TestFleet;
let root: Hierarchy['root'];
let serial: ReturnType<typeof parseCertificate>['serial'];
beforeEach(async () => {
  fleet = await openTestFleet();
  const made = await hierarchy;
  ({ root } = made);
  ({ serial } = parseCertificate(made.issuing.certificateDer));
});
afterEach(() => fleet.close());

interface Changes {
  readonly revoked?: boolean;
  readonly by?: Hierarchy['root'];
  readonly at?: number;
}
const life = Duration.days(30);

const crlOf = (number: number, { revoked = false, at = now }: Changes = {}): Promise<Uint8Array> =>
  createCrl({
    authority: root,
    number,
    thisUpdate: at,
    nextUpdate: at + life,
    entries: revoked ? [{ serial, revokedAt: now - 1000, reason: 'cACompromise' }] : [],
    scope: 'ca',
  });
const answersOf = ({ revoked = false, by = root, at = now }: Changes = {}): Promise<Uint8Array[]> =>
  createPresignedAnswers({
    authority: by,
    certificates: [
      {
        serial,
        status: revoked
          ? { status: 'revoked', revokedAt: now - 1000, reason: 'cACompromise' }
          : { status: 'good' },
      },
    ],
    thisUpdate: at,
    nextUpdate: at + life,
  });
const bring = (crl: Uint8Array, answers: readonly Uint8Array[]) =>
  importRootCrl(fleet, {
    caller: 'keyline',
    crl,
    answers,
    roots: [{ id: 'root', certificate: parseCertificate(root.certificateDer) }],
  });
const kept = async (): Promise<string[]> => {
  const crl = await fleet.store.findLatestCrl('root', 'complete');
  return readRootAnswers(crl?.answers ?? new Uint8Array()).map(
    ({ certId, status }) => `${certId.hashAlgorithm} ${status}`,
  );
};

describe("OCSP answers of a root (RFC 6960 §4.2.2.2: signed with the issuer's own key)", () => {
  it('are kept with their CRL, and replaced with it', async () => {
    await bring(await crlOf(1), await answersOf());
    expect(await kept()).toEqual(['sha1 good', 'sha256 good']);
    await bring(await crlOf(2, { revoked: true }), await answersOf({ revoked: true }));
    expect(await kept()).toEqual(['sha1 revoked', 'sha256 revoked']);
    // A CRL without answers leaves none that may be older than what it says.
    await bring(await crlOf(3, { revoked: true }), []);
    expect(await kept()).toEqual([]);
  });

  it('change nothing, and their CRL neither, when another root signed them or they do not go with it', async () => {
    const { root: other } = await stranger;
    await bring(await crlOf(1), await answersOf());
    const before = await fleet.store.lastSeq();
    const forged = await createPresignedAnswers({
      // The root's name and key hash, another's signature.
      authority: {
        certificateDer: root.certificateDer,
        signer: { ...other.signer, spkiDer: root.signer.spkiDer },
      },
      certificates: [{ serial, status: { status: 'good' } }],
      thisUpdate: now,
      nextUpdate: now + life,
    });
    for (const answers of [
      forged,
      await answersOf({ by: other }),
      await answersOf({ at: now - 1000 }),
      await answersOf({ revoked: true }),
      [...(await answersOf()), ...forged],
    ]) {
      expect(await codeOf(bring(await crlOf(2), answers))).toBe('PATH_INVALID');
    }
    expect(await codeOf(bring(await crlOf(2, { revoked: true }), await answersOf()))).toBe(
      'PATH_INVALID',
    );
    expect(await codeOf(bring(await crlOf(2), [ocspError('tryLater')]))).toBe('DER_MALFORMED');
    expect(await codeOf(bring(await crlOf(1), await answersOf()))).toBe('STORE_CONFLICT');
    expect(await fleet.store.lastSeq()).toBe(before);
  });

  it('never call good again what the CRL before had revoked', async () => {
    await bring(await crlOf(1, { revoked: true }), await answersOf({ revoked: true }));
    expect(await codeOf(bring(await crlOf(2), await answersOf()))).toBe('PATH_INVALID');
    expect(await kept()).toContain('sha1 revoked');
  });

  it('change nothing when one bit of it is turned', async () => {
    const [answer] = await answersOf();
    const crl = await crlOf(1);
    for (let at = 0; at < answer!.length; at++) {
      const turned = answer!.slice();
      turned[at]! ^= 1;
      expect([at, await codeOf(bring(crl, [turned]))]).toEqual([
        at,
        expect.stringMatching(/^(PATH_INVALID|DER_MALFORMED)$/),
      ]);
    }
    expect(await kept()).toEqual([]);
  });
});
