// A chain with any byte changed is no chain. QUICK=1 changes one bit of each byte, otherwise all eight are tried.
import { parseCertificate } from '@keyline/x509';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createIssuer, verifyChain } from '../src/index.ts';
import {
  createHierarchy,
  createTestSigner,
  deviceProfile,
  now,
  profilesOf,
  type Hierarchy,
} from './hierarchy.ts';
import { constrained, make, named } from './made-certificates.ts';

let hierarchy: Hierarchy;
let leafDer: Uint8Array;
beforeAll(async () => {
  hierarchy = await createHierarchy({ rootAlgorithm: 'ec-p256', issuingAlgorithm: 'ed25519' });
  const issuer = await createIssuer(hierarchy.issuing, profilesOf(deviceProfile));
  const { spkiDer, algorithm } = createTestSigner('ec-p256');
  const request = { profile: 'device-client', id: 'pump-1', spkiDer, algorithm, now };
  leafDer = (await issuer.issue(request)).der;
});

const bits = process.env['QUICK'] === '1' ? [0] : [0, 1, 2, 3, 4, 5, 6, 7];

function verify(chain: readonly Uint8Array[]): string {
  const [leaf = new Uint8Array(), issuing = new Uint8Array(), root = new Uint8Array()] = chain;
  const question = { leafDer: leaf, intermediates: [issuing], roots: [root], now };
  return verifyChain({ ...question, requiredEku: 'clientAuth' }).status;
}

describe('a chain', () => {
  const chainOf = (): Uint8Array[] => [
    leafDer,
    hierarchy.issuing.certificateDer,
    hierarchy.root.certificateDer,
  ];

  it('is valid as it is', () => {
    expect(verify(chainOf())).toBe('valid');
  });

  it.each([
    ['leaf', 0],
    ['issuing authority', 1],
    ['root', 2],
  ])('is never valid with any bit of its %s flipped', (_title, which) => {
    const original = chainOf()[which] ?? new Uint8Array();
    const survivors: string[] = [];
    for (let at = 0; at < original.length; at++) {
      for (const bit of bits) {
        const copy = Uint8Array.from(original);
        copy[at] = (copy[at] ?? 0) ^ (1 << bit);
        if (verify(chainOf().with(which, copy)) === 'valid') {
          survivors.push(`byte ${String(at)} bit ${String(bit)}`);
        }
      }
    }
    expect(original.length).toBeGreaterThan(300);
    expect(survivors).toEqual([]);
  });

  it('is never valid with bytes put in, left out or cut off', () => {
    fc.assert(
      fc.property(
        fc.nat(2),
        fc.nat(),
        fc.nat(20),
        fc.uint8Array({ maxLength: 20 }),
        (which, place, removed, added) => {
          const original = Buffer.from(chainOf()[which] ?? []);
          const at = place % original.length;
          const changed = Buffer.concat([
            original.subarray(0, at),
            added,
            original.subarray(at + removed),
          ]);
          fc.pre(!changed.equals(original));
          expect(verify(chainOf().with(which, changed))).toBe('invalid');
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('with name constraints that hold noise is answered for, never thrown over', async () => {
    const root = await make('R', {
      extensions: constrained({ permitted: { dns: ['a.example'] } }),
    });
    const leaf = await make('L', { issuer: root, extensions: named({ dns: 'x.a.example' }) });
    const extension = parseCertificate(root.der).extensions.at(-1)?.valueDer ?? new Uint8Array();
    const start = Buffer.from(root.der).indexOf(extension);
    for (let at = start; at < start + extension.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const copy = Uint8Array.from(root.der);
        copy[at] = (copy[at] ?? 0) ^ (1 << bit);
        expect(verify([leaf.der, new Uint8Array(), copy])).toBe('invalid');
      }
    }
  });
});
