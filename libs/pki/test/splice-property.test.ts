// A spliced certificate can't differ from what was linted: 10,000 random devices (QUICK=1: 1,000), byte for byte beside @peculiar/x509.
import { Duration } from '@keyline/kernel';
import {
  buildLeafTbs,
  oids,
  parseAlternativeNames,
  parseCertificate,
  verifySignature,
  type AlternativeName,
  type KeyAlgorithm,
  type RelativeName,
} from '@keyline/x509';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { constantsOf } from '../src/compiled-profile.ts';
import {
  createIssuer,
  crlShardName,
  crlShardUrl,
  type Authority,
  type Issuer,
  type IssueRequest,
  type Profile,
} from '../src/index.ts';
import { readIssuer } from '../src/issuer-identity.ts';
import { lintLeaf } from '../src/lint.ts';
import { subjectKeyIdOf } from '../src/subject-key-id.ts';
import {
  createHierarchy,
  createTestSigner,
  deviceProfile,
  now,
  ocspProfile,
  profilesOf,
  serverProfile,
  urls,
  type Hierarchy,
} from './hierarchy.ts';

const hardwareType = '1.3.6.1.4.1.99999.1';
const bareProfile: Profile = {
  ...deviceProfile,
  name: 'bare',
  subject: [
    { attribute: 'OU', value: '{label.site}' },
    { attribute: 'C', value: '{label.country}' },
  ],
  san: [{ uri: 'urn:keyline:device:{id}' }, { dns: '{label.host}' }],
};
const shortProfile: Profile = {
  ...deviceProfile,
  name: 'short',
  validity: { duration: 'P1D' },
  noRevAvail: true,
  crlDistributionPoint: false,
};
const idevidProfile: Profile = {
  ...deviceProfile,
  name: 'idevid',
  subject: [{ attribute: 'serialNumber', value: '{batch}' }],
  san: [
    { hardwareModule: { type: hardwareType, serialNumber: '{batch}' } },
    { uri: 'urn:keyline:device:{id}' },
  ],
  validity: { until: '9999-12-31T23:59:59Z' },
};
const profiles = profilesOf(
  deviceProfile,
  serverProfile,
  ocspProfile,
  bareProfile,
  shortProfile,
  idevidProfile,
);

const shards = 16;
let hierarchy: Hierarchy;
let issuers: { authority: Authority; issuer: Issuer }[];
beforeAll(async () => {
  hierarchy = await createHierarchy();
  issuers = await Promise.all(
    [undefined, shards].map(async (crlShards) => {
      const authority = { ...hierarchy.issuing, crlShards };
      return { authority, issuer: await createIssuer(authority, profiles) };
    }),
  );
});

/** What the profile makes of a request, said without the code that is tested. */
function expectedNames(
  profile: Profile,
  request: IssueRequest,
): { subject: RelativeName[]; alternativeNames: AlternativeName[] } {
  const { id, type, batch, labels = {}, dnsNames = [], ipAddresses = [] } = request;
  const values: Record<string, string | undefined> = {
    '{id}': id,
    '{type}': type,
    '{batch}': batch,
    '{label.site}': labels['site'],
    '{label.country}': labels['country'],
  };
  const subject = profile.subject.flatMap(({ attribute, value }) => {
    const text = value in values ? values[value] : value;
    return text === undefined ? [] : [{ attribute, value: text }];
  });
  const uri = `urn:keyline:device:${encodeURIComponent(id).replace(
    /%(24|26|2B|2C|3B|3D|3A|40)/g,
    (escaped) => decodeURIComponent(escaped),
  )}`;
  const host = labels['host'];
  switch (profile.name) {
    case 'broker-server':
      return {
        subject,
        alternativeNames: [
          ...dnsNames.map((dns) => ({ dns })),
          ...ipAddresses.map((ip) => ({ ip })),
        ],
      };
    case 'ocsp-responder':
      return { subject, alternativeNames: [] };
    case 'bare':
      return {
        subject,
        alternativeNames: [{ uri }, ...(host === undefined ? [] : [{ dns: host }])],
      };
    case 'idevid':
      return {
        subject,
        alternativeNames: [
          ...(batch === undefined
            ? []
            : [{ hardwareModule: { type: hardwareType, serialNumber: batch } }]),
          { uri },
        ],
      };
    default:
      return { subject, alternativeNames: [{ uri }] };
  }
}

describe('spliced bytes', () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
  const dns = fc
    .array(label, { minLength: 2, maxLength: 4 })
    .map((labels) => labels.join('.'))
    // One that ends in a number is an address, and refused.
    .filter((name) => !/\.\d+$/.test(name));
  const id = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 64 })
    .filter((text) => Array.from(text).length <= 64 && text.isWellFormed() && !/\p{C}/u.test(text));
  // One key each is enough for the splice: the bytes are opaque to it. A fresh one per run would time node:crypto.
  const keys = (['ec-p256', 'ec-p384', 'ed25519', 'rsa-2048', 'ml-dsa-65'] as KeyAlgorithm[]).map(
    createTestSigner,
  );
  const optional = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
    fc.option(value, { nil: undefined });
  const requests = fc.record({
    sharded: fc.constantFrom(0, 1),
    profile: fc.constantFrom(...profiles.keys()),
    id,
    type: optional(fc.stringMatching(/^[a-z]{1,20}$/)),
    batch: optional(fc.stringMatching(/^[A-Za-z0-9 '()+,./:=?-]{1,64}$/)),
    labels: fc.record(
      { site: id, country: fc.stringMatching(/^[A-Z]{2}$/), host: dns, other: fc.string() },
      { requiredKeys: [] },
    ),
    dnsNames: fc.uniqueArray(dns, { minLength: 1, maxLength: 4 }),
    ipAddresses: fc.uniqueArray(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 3 }),
    key: fc.constantFrom(...keys),
    now: fc.integer({ min: now, max: now + Duration.days(1700) }),
    validity: optional(fc.integer({ min: 1000, max: Duration.hours(20) })),
  });

  const quick = process.env['QUICK'] === '1';
  const runs = Number(process.env['KEYLINE_PROPERTY_RUNS'] ?? (quick ? 1000 : 10_000));
  it(
    `equal what @peculiar/x509 writes, parse back to what was asked, and lint, for ${String(runs)} devices`,
    { timeout: 600_000 },
    async () => {
      const identity = readIssuer(hierarchy.issuing);
      await fc.assert(
        fc.asyncProperty(requests, async ({ sharded, key, dnsNames, ipAddresses, ...rest }) => {
          const { authority, issuer } = issuers[sharded]!;
          const profile = profiles.get(rest.profile)!;
          const request: IssueRequest = {
            ...rest,
            ...(profile.kind === 'server' ? { dnsNames, ipAddresses } : {}),
            spkiDer: key.spkiDer,
            algorithm: key.algorithm,
          };
          const issued = await issuer.issue(request);
          const certificate = parseCertificate(issued.der);
          const serial = Buffer.from(issued.serial, 'hex');
          const { subject, alternativeNames } = expectedNames(profile, request);
          const expected = await buildLeafTbs({
            ...constantsOf(profile, authority, identity, serial),
            serial,
            notBefore: issued.notBefore,
            notAfter: issued.notAfter,
            subject,
            spkiDer: key.spkiDer,
            alternativeNames,
            subjectKeyId: subjectKeyIdOf(key.spkiDer),
          });
          expect(Buffer.compare(certificate.tbsDer, expected)).toBe(0);

          const shard = {
            index: Number(BigInt(`0x${issued.serial}`) % BigInt(shards)),
            count: shards,
          };
          const hasPoint = profile.crlDistributionPoint;
          expect(issued.crlShard).toBe(hasPoint && sharded === 1 ? crlShardName(shard) : undefined);
          expect(certificate.crlDistributionPoints).toEqual(
            hasPoint ? [sharded === 1 ? crlShardUrl(urls.crl, shard) : urls.crl] : [],
          );
          const san = certificate.extensions.find(({ oid }) => oid === oids.subjectAltName);
          const names = san && parseAlternativeNames(san.valueDer);
          expect(certificate).toMatchObject({
            serial: issued.serial,
            notBefore: issued.notBefore,
            notAfter: issued.notAfter,
            sanDns: alternativeNames.flatMap((name) => ('dns' in name ? [name.dns] : [])),
            sanUri: alternativeNames.flatMap((name) => ('uri' in name ? [name.uri] : [])),
          });
          expect(certificate.sanIp).toHaveLength(
            profile.kind === 'server' ? ipAddresses.length : 0,
          );
          expect(names?.hardwareModules ?? []).toEqual(
            alternativeNames.flatMap((name) =>
              'hardwareModule' in name ? [name.hardwareModule] : [],
            ),
          );
          expect(lintLeaf(certificate, { issuer: identity.certificate, profile })).toEqual([]);
          expect(verifySignature({ ...certificate, spkiDer: identity.certificate.spkiDer })).toBe(
            true,
          );
        }),
        { numRuns: runs },
      );
    },
  );
});
