// Roots' CRLs as the fleet takes them: verified, never back, and obeyed for good.
import { Duration } from '@keyline/kernel';
import { createCrl, createIssuingCertificate, parseCsr, type RevocationReason } from '@keyline/pki';
import { algorithms, createCsr, der, encodeExtension, oids, parseCertificate } from '@keyline/x509';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createHierarchy,
  createTestSigner,
  now,
  type Hierarchy,
} from '../../pki/test/hierarchy.ts';
import { importRootCrl, installAuthority, addAuthority, obeyRootCrls } from '../src/index.ts';
import { codeOf, kinds, openTestFleet, type TestFleet } from './test-fleet.ts';

const hierarchy = createHierarchy({ at: now });
const stranger = createHierarchy({ at: now });
let fleet: TestFleet;
let root: Hierarchy['root'];
let issuing: Uint8Array;
beforeEach(async () => {
  fleet = await openTestFleet();
  ({
    root,
    issuing: { certificateDer: issuing },
  } = await hierarchy);
  await addAuthority(fleet, { caller: 'keyline', id: 'issuing-1' });
  await installAuthority(fleet, {
    caller: 'keyline',
    id: 'issuing-1',
    certificate: issuing,
    root: root.certificateDer,
    roots: roots(),
  });
});
afterEach(() => fleet.close());

const roots = () => [{ id: 'root', certificate: parseCertificate(root.certificateDer) }];

async function crlOf(
  number: number,
  changes: {
    readonly by?: Hierarchy['root'];
    readonly lists?: Uint8Array;
    readonly reason?: RevocationReason;
    readonly scope?: 'user' | 'ca';
  } = {},
): Promise<Uint8Array> {
  const { by = root, lists, reason = 'cACompromise', scope = 'ca' } = changes;
  return createCrl({
    authority: by,
    number,
    thisUpdate: now,
    nextUpdate: now + Duration.days(30),
    entries:
      lists === undefined
        ? []
        : [{ serial: parseCertificate(lists).serial, revokedAt: now - 1000, reason }],
    scope,
  });
}
const bring = async (crl: Uint8Array) =>
  importRootCrl(fleet, { caller: 'keyline', crl, roots: roots() });
const state = async () => (await fleet.store.listAuthorities())[0]?.state;

describe("a root's CRL that lists an authority (RFC 5280 §5)", () => {
  it('revokes it in the same commit, with its time and reason in the ledger', async () => {
    expect((await bring(await crlOf(1, { lists: issuing }))).revoked).toEqual(['issuing-1']);
    const [record] = await fleet.store.listAuthorities();
    expect(record).toMatchObject({
      state: 'revoked',
      revokedAt: now - 1000,
      reason: 'cACompromise',
    });
    const entries = await fleet.store.readEntries(0, 99);
    expect(kinds(entries).slice(-2)).toEqual(['crl-published', 'authority-revoked']);
    expect(entries.at(-1)?.data).toMatchObject({ authority: 'issuing-1', crl: 1 });
  });

  it('revokes it for a hold too: there is no way back for an authority', async () => {
    await bring(await crlOf(1, { lists: issuing, reason: 'certificateHold' }));
    await bring(await crlOf(2));
    expect(await state()).toBe('revoked');
  });

  it('changes nothing when it is of another root, for leaves only, older, or ended', async () => {
    const { root: other } = await stranger;
    await bring(await crlOf(5));
    const before = await fleet.store.lastSeq();
    expect(await codeOf(bring(await crlOf(9, { by: other, lists: issuing })))).toBe('PATH_INVALID');
    expect(await codeOf(bring(await crlOf(9, { scope: 'user', lists: issuing })))).toBe(
      'PATH_INVALID',
    );
    expect(await codeOf(bring(await crlOf(4, { lists: issuing })))).toBe('STORE_CONFLICT');
    const late = await crlOf(9, { lists: issuing });
    fleet.clock.advance(Duration.days(31));
    expect(await codeOf(bring(late))).toBe('PATH_INVALID');
    expect(await state()).toBe('ready');
    expect(await fleet.store.lastSeq()).toBe(before);
  });

  it('changes nothing when its distribution point restricts it to a directory name (§5.2.5)', async () => {
    const { subjectDer } = parseCertificate(root.certificateDer);
    const { identifierDer } = algorithms[root.signer.algorithm].signature;
    const extensions = [
      { oid: oids.cRLNumber, critical: false, valueDer: der.integer(9) },
      {
        oid: oids.issuingDistributionPoint,
        critical: true,
        valueDer: der.sequence(der.explicit(0, der.explicit(0, der.explicit(4, subjectDer)))),
      },
    ];
    const tbs = der.sequence(
      ...[der.integer(1), identifierDer, subjectDer],
      ...[der.time(now), der.time(now + Duration.days(30))],
      der.explicit(0, der.sequence(...extensions.map(encodeExtension))),
    );
    const signature = der.bitString(await root.signer.sign(tbs));
    expect(await codeOf(bring(der.sequence(tbs, identifierDer, signature)))).toBe('PATH_INVALID');
  });

  it('changes nothing when one bit of it is turned', async () => {
    const crl = await crlOf(1, { lists: issuing });
    for (let at = 0; at < crl.length; at += 7) {
      const turned = crl.slice();
      turned[at]! ^= 1;
      expect(['PATH_INVALID', 'DER_MALFORMED']).toContain(await codeOf(bring(turned)));
    }
    expect(await state()).toBe('ready');
  });

  it('is obeyed at the start too, where it lies in a database that is older than the rule', async () => {
    const der = await crlOf(3, { lists: issuing });
    await fleet.store.commit({
      writes: [
        {
          op: 'insert-crl',
          crl: {
            list: 'root',
            kind: 'complete',
            number: 3,
            baseNumber: null,
            der,
            thisUpdate: now,
            nextUpdate: now + 1000,
            ledgerSeq: 0,
          },
        },
      ],
      entries: [],
    });
    // Also when it has ended since: what it says of a revocation stays true.
    fleet.clock.advance(Duration.days(60));
    expect(await obeyRootCrls(fleet, roots())).toEqual(['issuing-1']);
    expect(await state()).toBe('revoked');
    expect(await obeyRootCrls(fleet, roots())).toEqual([]);
  });
});

describe("an authority's certificate that is brought", () => {
  const next = async (): Promise<Uint8Array> => {
    const key = createTestSigner('ec-p256');
    return createIssuingCertificate({
      root,
      csr: parseCsr(await createCsr({ signer: key, commonName: 'Issuing 2' })),
      now,
      validity: Duration.days(900),
    });
  };
  const install = async (certificate: Uint8Array): Promise<unknown> => {
    await addAuthority(fleet, { caller: 'keyline', id: 'issuing-2' });
    const given = { id: 'issuing-2', certificate, root: root.certificateDer, roots: roots() };
    return installAuthority(fleet, { caller: 'keyline', ...given });
  };

  it('is taken when the CRL of its root calls it good', async () => {
    await bring(await crlOf(1, { lists: issuing }));
    await install(await next());
    expect((await fleet.store.listAuthorities()).map((one) => one.state)).toEqual([
      'revoked',
      'ready',
    ]);
  });

  it('is refused when that CRL lists it, also one that has ended (RFC 5280 §6.1.3 (a)(3))', async () => {
    const certificate = await next();
    await bring(await crlOf(1, { lists: certificate }));
    fleet.clock.advance(Duration.days(31));
    await expect(install(certificate)).rejects.toThrow(/PATH_INVALID.*CRL 1 of its root lists it/);
  });

  it('is refused when nobody knows: the CRL of its root has ended (§6.3.3)', async () => {
    await bring(await crlOf(1));
    fleet.clock.advance(Duration.days(31));
    const certificate = await next();
    await expect(install(certificate)).rejects.toThrow(/PATH_INVALID.*not known.*root-crl/);
    const [, record] = await fleet.store.listAuthorities();
    expect(record).toMatchObject({ state: 'pending', certificate: null });
  });
});
