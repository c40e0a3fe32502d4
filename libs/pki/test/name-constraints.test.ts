import { Duration } from '@keyline/kernel';
import {
  createCsr,
  der,
  encodeName,
  encodeNameConstraints,
  oids,
  parseCertificate,
  parseNameConstraints,
} from '@keyline/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  createIssuer,
  createIssuingCertificate,
  parseCsr,
  verifyChain,
  type Authority,
} from '../src/index.ts';
import { findNameFault } from '../src/name-constraints.ts';
import {
  atTime,
  certificateBlock,
  createHierarchy,
  createTestSigner,
  deviceProfile,
  now,
  profilesOf,
  serverProfile,
  urls,
  Workbench,
} from './hierarchy.ts';
import {
  cases,
  company,
  dns,
  hosts,
  net,
  person,
  unit,
  type NameCase,
} from './name-constraint-cases.ts';
import { ca, constrained, make, named, type Made } from './made-certificates.ts';

async function chainOf({ constraints, names, subject = [person] }: NameCase): Promise<{
  root: Made;
  issuing: Made;
  leaf: Made;
}> {
  const root = await make('R', { extensions: ca() });
  const issuing = await make('I', { issuer: root, extensions: constrained(constraints) });
  const extensions = names.length === 0 ? [] : named(...names);
  const leaf = await make(subject, { issuer: issuing, extensions });
  return { root, issuing, leaf };
}
const ask = (leaf: Made, intermediates: Made[], root: Made): ReturnType<typeof verifyChain> =>
  verifyChain({
    leafDer: leaf.der,
    intermediates: intermediates.map((one) => one.der),
    roots: [root.der],
    now,
  });
const reasonOf = (verdict: ReturnType<typeof verifyChain>): string =>
  verdict.status === 'valid' ? 'valid' : verdict.reason;

describe('verifyChain and name constraints (RFC 5280 §4.2.1.10)', () => {
  it.each(cases)('$verdict: $title', async (one) => {
    const { root, issuing, leaf } = await chainOf(one);
    expect(ask(leaf, [issuing], root).status).toBe(one.verdict);
  });

  it('holds every authority of the path to those above it: what both permit (§6.1.4 (g))', async () => {
    const root = await make('R', { extensions: constrained(dns) });
    const inner = { permitted: { dns: ['plant.example.com', 'example.org'] } };
    const issuing = await make('I', { issuer: root, extensions: constrained(inner) });
    const leafOf = (name: string): Promise<Made> =>
      make('L', { issuer: issuing, extensions: named({ dns: name }) });
    expect(reasonOf(ask(await leafOf('a.plant.example.com'), [issuing], root))).toBe('valid');
    expect(reasonOf(ask(await leafOf('a.example.com'), [issuing], root))).toContain(
      '"L" is outside the name constraints of "I": the DNS name "a.example.com" is not among the permitted ones',
    );
    expect(reasonOf(ask(await leafOf('example.org'), [issuing], root))).toContain('of "R"');
  });

  it('exempts self-issued authorities, and never the leaf (§6.1.3 (b))', async () => {
    const elsewhere = { permitted: { directory: [company()] } };
    const key = createTestSigner('ec-p256');
    const root = await make('R', { extensions: constrained(elsewhere) });
    const again = await make('R', { issuer: root, extensions: ca(), signer: key });
    const within = await make(company(person), { issuer: again });
    expect(reasonOf(ask(within, [again], root))).toBe('valid');
    const selfIssuedLeaf = await make('R', { issuer: again, signer: createTestSigner('ec-p256') });
    expect(reasonOf(ask(selfIssuedLeaf, [again], root))).toContain('outside the name constraints');
  });

  it('refuses a form it does not process when a name has it, and only then', async () => {
    const email = (text: string): Uint8Array => der.element(0x81, Buffer.from(text));
    const valueDer = der.sequence(der.explicit(0, der.sequence(email('example.com'))));
    const root = await make('R', {
      extensions: [...ca(), { oid: oids.nameConstraints, critical: true, valueDer }],
    });
    const mail = {
      oid: oids.subjectAltName,
      critical: false,
      valueDer: der.sequence(email('a@example.com')),
    };
    const leaf = await make('L', { issuer: root, extensions: [mail] });
    expect(reasonOf(ask(leaf, [], root))).toContain('the form [1]');
    const other = await make('L', { issuer: root, extensions: named({ dns: 'a.example' }) });
    expect(reasonOf(ask(other, [], root))).toBe('valid');
  });

  it('refuses them in a leaf', async () => {
    const root = await make('R', { extensions: ca() });
    const leaf = await make('L', { issuer: root, extensions: [encodeNameConstraints(dns)] });
    expect(reasonOf(ask(leaf, [], root))).toContain('is no authority');
  });
});

describe('nameConstraints', () => {
  it.each([
    ['nothing', der.sequence()],
    ['an empty list', der.sequence(der.explicit(0))],
    [
      'a minimum (§4.2.1.10: always zero)',
      der.sequence(
        der.explicit(0, der.sequence(der.element(0x82), der.implicit(0, der.integer(1)))),
      ),
    ],
    [
      'a mask with holes',
      der.sequence(
        der.explicit(
          0,
          der.sequence(der.element(0x87, Uint8Array.of(10, 0, 0, 0, 255, 0, 255, 0))),
        ),
      ),
    ],
    [
      'an address without a mask',
      der.sequence(der.explicit(0, der.sequence(der.element(0x87, Uint8Array.of(10, 0, 0, 0))))),
    ],
    ['what is no general name', der.sequence(der.explicit(0, der.sequence(der.nullValue())))],
  ])('with %s are malformed', (_title, valueDer) => {
    expect(() => parseNameConstraints(valueDer)).toThrow(/DER/);
  });

  it('of every form read back', () => {
    const constraints = {
      permitted: { ...dns.permitted, ...net.permitted, ...hosts.permitted },
      excluded: { directory: [company(unit)] },
    };
    const extension = encodeNameConstraints(constraints);
    expect(extension.critical).toBe(true);
    const parsed = parseNameConstraints(extension.valueDer);
    expect(parsed.permitted).toMatchObject({ dns: ['example.com'], uri: hosts.permitted.uri });
    expect(parsed.permitted.ip.map(({ mask }) => mask.length)).toEqual([4, 16]);
    expect(parsed.excluded.directory).toEqual([encodeName(company(unit))]);
  });

  it.each([
    ['nothing at all', {}],
    ['a wildcard', { permitted: { dns: ['*.example.com'] } }],
    ['a network without its length', { permitted: { ip: ['10.0.0.0'] } }],
    ['a network longer than the address', { permitted: { ip: ['10.0.0.0/33'] } }],
    ['a URI where a host belongs', { permitted: { uri: ['https://example.com'] } }],
  ])('are not written with %s', (_title, constraints) => {
    expect(() => encodeNameConstraints(constraints)).toThrow(/name|network|constraint/i);
  });
});

describe('an issuing authority with name constraints', () => {
  let authority: Authority;
  let rootDer: Uint8Array;
  beforeAll(async () => {
    const { root } = await createHierarchy();
    const signer = createTestSigner('ec-p256');
    const csr = parseCsr(await createCsr({ signer, commonName: 'Narrow' }));
    rootDer = root.certificateDer;
    const certificateDer = await createIssuingCertificate({
      root,
      csr,
      now,
      validity: Duration.days(365),
      nameConstraints: { permitted: { dns: ['plant.example'], ip: ['10.0.0.0/8'] } },
    });
    authority = { id: 'narrow', certificateDer, signer, urls };
  });
  const { spkiDer, algorithm } = createTestSigner('ec-p256');
  const issue = async (dnsNames: string[], ipAddresses: string[] = []): Promise<Uint8Array> => {
    const issuer = await createIssuer(authority, profilesOf(deviceProfile, serverProfile));
    const names = { dnsNames, ipAddresses };
    const request = { profile: 'broker-server', id: 'broker', ...names, spkiDer, algorithm, now };
    return (await issuer.issue(request)).der;
  };

  it('issues within them what verifies', async () => {
    const leafDer = await issue(['broker.plant.example'], ['10.1.2.3']);
    const intermediates = [authority.certificateDer];
    expect(verifyChain({ leafDer, intermediates, roots: [rootDer], now }).status).toBe('valid');
  });

  it('issues nothing outside them', async () => {
    for (const [dnsNames, ipAddresses] of [
      [['broker.example'], []],
      [['broker.plant.example'], ['192.0.2.1']],
    ] as const) {
      await expect(issue([...dnsNames], [...ipAddresses])).rejects.toMatchObject({
        code: 'PROFILE_VIOLATION',
        detail: expect.stringContaining('name constraints'),
      });
    }
  });

  it('and none without them is held back', () => {
    const certificate = parseCertificate(rootDer);
    const open = { dns: [], ip: [], uri: [], directory: [], otherForms: [] };
    expect(findNameFault(certificate, { permitted: open, excluded: open })).toBeUndefined();
  });
});

describe.skipIf(!has('openssl', 'certtool'))('OpenSSL and GnuTLS', () => {
  it('agree with every verdict', { timeout: 60_000 }, async () => {
    const bench = await Workbench.create();
    for (const one of cases) {
      const { root, issuing, leaf } = await chainOf(one);
      await bench.put('root.pem', certificateBlock(root.der));
      await bench.put('issuing.pem', certificateBlock(issuing.der));
      await bench.put('leaf.pem', certificateBlock(leaf.der));
      const { code, output } = await bench.run(
        'openssl',
        ...['verify', '-attime', atTime(now), '-CAfile', 'root.pem'],
        ...['-untrusted', 'issuing.pem', 'leaf.pem'],
      );
      const theirs = code === 0 ? 'valid' : 'invalid';
      const expected =
        one.opensslDiffers === undefined
          ? one.verdict
          : one.verdict === 'valid'
            ? 'invalid'
            : 'valid';
      expect(`${one.title}: ${theirs} ${code === 0 ? '' : output}`).toContain(
        `${one.title}: ${expected}`,
      );
    }
  });

  it('print the constraints that Keyline writes', async () => {
    const bench = await Workbench.create();
    const root = await make('R', {
      extensions: constrained({ ...net, excluded: hosts.permitted }),
    });
    await bench.put('root.pem', certificateBlock(root.der));
    const openssl = await bench.run('openssl', 'x509', '-in', 'root.pem', '-noout', '-text');
    expect(openssl.output).toMatch(
      /Name Constraints: critical\s+Permitted:\s+IP:10.0.0.0\/255.0.0.0\s+IP:2001:DB8:0:0:0:0:0:0\/FFFF:FFFF:0:0:0:0:0:0\s+Excluded:\s+URI:host.example.com\s+URI:.below.example.com/,
    );
    const gnutls = await bench.run('certtool', '--certificate-info', '--infile', 'root.pem');
    expect(gnutls.output).toContain('Name Constraints (critical)');
  });
});
