// What relying parties must take from other authorities' certificates and CRLs, and OpenSSL's opinion of the same files.
import { Duration } from '@keyline/kernel';
import {
  algorithms,
  canonicalRdns,
  der,
  encodeAuthorityKeyIdentifier,
  encodeExtension,
  encodeName,
  isSameName,
  oids,
  parseCertificate,
  parseCrl,
  type Extension,
} from '@keyline/x509';
import { describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { createCrlStatusSource } from '../src/crl-status.ts';
import { verifyChain } from '../src/index.ts';
import type { ChainVerdict } from '../src/verify-chain.ts';
import { signTbs } from '../src/sign-tbs.ts';
import { subjectKeyIdOf } from '../src/subject-key-id.ts';
import {
  atTime,
  certificateBlock,
  createTestSigner,
  crlBlock,
  now,
  Workbench,
} from './hierarchy.ts';
import { ca, make, type Made } from './made-certificates.ts';

type TestSigner = ReturnType<typeof createTestSigner>;
const { tags } = der;

/** One attribute of each kind of string, as bytes. */
function nameOf(...parts: [oid: string, tag: number, octets: string | Buffer][]): Uint8Array {
  return der.sequence(
    ...parts.map(([oid, tag, octets]) => {
      const value = der.element(
        tag,
        typeof octets === 'string' ? Buffer.from(octets, 'utf8') : octets,
      );
      return der.element(tags.set, der.sequence(der.oid(oid), value));
    }),
  );
}
const cn = '2.5.4.3';
const o = '2.5.4.10';

interface RawCrl {
  readonly issuerDer: Uint8Array;
  readonly signer: TestSigner;
  readonly entries?: readonly Uint8Array[];
  readonly point?: Uint8Array;
  readonly number?: number;
}

async function rawCrl({
  issuerDer,
  signer,
  entries = [],
  point,
  number = 1,
}: RawCrl): Promise<Uint8Array> {
  const extensions: Extension[] = [
    encodeAuthorityKeyIdentifier(subjectKeyIdOf(signer.spkiDer)),
    { oid: oids.cRLNumber, critical: false, valueDer: der.integer(number) },
    ...(point === undefined
      ? []
      : [{ oid: oids.issuingDistributionPoint, critical: true, valueDer: point }]),
  ];
  const tbs = der.sequence(
    der.integer(1),
    algorithms[signer.algorithm].signature.identifierDer,
    issuerDer,
    der.time(now - 1000),
    der.time(now + Duration.days(1)),
    ...(entries.length === 0 ? [] : [der.sequence(...entries)]),
    der.explicit(0, der.sequence(...extensions.map(encodeExtension))),
  );
  return signTbs(signer, tbs);
}
const entry = (serialDer: Uint8Array, ...more: Uint8Array[]): Uint8Array =>
  der.sequence(serialDer, der.time(now - 1000), ...more);
const serialOf = (made: Made): Uint8Array => {
  const { serial } = parseCertificate(made.der);
  return der.unsignedInteger(Buffer.from(serial, 'hex'));
};

function shortOf(verdict: ChainVerdict): string {
  return verdict.status === 'valid' ? 'valid' : verdict.fault;
}

interface Asked {
  readonly leaf: Made;
  readonly intermediates?: readonly Made[];
  readonly root: Made;
  readonly crls?: readonly Uint8Array[];
  readonly signers?: readonly Made[];
}

function judge({ leaf, intermediates = [], root, crls, signers = [] }: Asked): string {
  return shortOf(
    verifyChain({
      leafDer: leaf.der,
      intermediates: intermediates.map((one) => one.der),
      roots: [root.der],
      now,
      ...(crls === undefined
        ? {}
        : {
            statusOf: createCrlStatusSource({
              crls,
              signers: signers.map((one) => one.der),
              now,
            }),
          }),
    }),
  );
}

async function openssl(asked: Asked, ...flags: string[]): Promise<string> {
  const { leaf, intermediates = [], root, crls = [], signers = [] } = asked;
  const bench = await Workbench.create();
  await bench.put('root.pem', certificateBlock(root.der));
  await bench.put('leaf.pem', certificateBlock(leaf.der));
  await bench.put(
    'others.pem',
    ...[...intermediates, ...signers].map((one) => certificateBlock(one.der)),
  );
  await bench.put('crls.pem', ...crls.map(crlBlock));
  const { code, output } = await bench.run(
    'openssl',
    ...['verify', '-attime', atTime(now), '-CAfile', 'root.pem'],
    ...(intermediates.length + signers.length === 0 ? [] : ['-untrusted', 'others.pem']),
    ...(crls.length === 0 ? [] : ['-crl_check', '-CRLfile', 'crls.pem']),
    ...[...flags, 'leaf.pem'],
  );
  if (code === 0) return 'valid';
  return /certificate revoked/.test(output)
    ? 'revoked'
    : /unable to get certificate CRL|Different CRL scope/i.test(output)
      ? 'status-unknown'
      : 'path';
}

describe('names are compared by RFC 5280 §7.1', () => {
  const plain = nameOf([o, tags.utf8String, 'Example Plant'], [cn, tags.utf8String, 'Straße 1']);
  const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
  const bmp = (text: string): Buffer => Buffer.from(text, 'utf16le').swap16();
  const same: [string, Uint8Array][] = [
    ['case', nameOf([o, tags.utf8String, 'EXAMPLE plant'], [cn, tags.utf8String, 'STRASSE 1'])],
    [
      'white space',
      nameOf([o, tags.utf8String, '  Example \u00a0  Plant '], [cn, tags.utf8String, 'Straße\t1']),
    ],
    [
      'string type',
      nameOf(
        [o, tags.printableString, 'Example Plant'],
        [cn, tags.teletexString, latin1('Straße 1')],
      ),
    ],
    [
      'another',
      nameOf([o, tags.bmpString, bmp('Example Plant')], [cn, tags.bmpString, bmp('Straße 1')]),
    ],
    [
      'what is mapped to nothing (RFC 4518 §2.2)',
      nameOf([o, tags.utf8String, 'Exam\u00adple\u200b Plant'], [cn, tags.utf8String, 'Straße 1']),
    ],
    [
      'normal forms (RFC 4518 §2.3)',
      nameOf([o, tags.utf8String, 'Ｅxample Plant'], [cn, tags.utf8String, 'Straße ①']),
    ],
  ];
  it.each(same)('%s makes no difference', (_title, other) => {
    expect(isSameName(plain, other)).toBe(true);
    expect(isSameName(other, plain)).toBe(true);
  });

  const different: [string, Uint8Array][] = [
    [
      'other text',
      nameOf([o, tags.utf8String, 'Example Plants'], [cn, tags.utf8String, 'Straße 1']),
    ],
    [
      'spaces that are not there',
      nameOf([o, tags.utf8String, 'ExamplePlant'], [cn, tags.utf8String, 'Straße 1']),
    ],
    [
      'another order',
      nameOf([cn, tags.utf8String, 'Straße 1'], [o, tags.utf8String, 'Example Plant']),
    ],
    [
      'one more',
      nameOf(
        [o, tags.utf8String, 'Example Plant'],
        [cn, tags.utf8String, 'Straße 1'],
        [cn, tags.utf8String, ''],
      ),
    ],
    ['one less', nameOf([o, tags.utf8String, 'Example Plant'])],
    [
      'another attribute',
      nameOf([o, tags.utf8String, 'Example Plant'], [o, tags.utf8String, 'Straße 1']),
    ],
    [
      'a character that may not be compared (RFC 4518 §2.4)',
      nameOf([o, tags.utf8String, 'Example Plant\ue000'], [cn, tags.utf8String, 'Straße 1']),
    ],
    ['bytes that are no name', Uint8Array.of(0x30, 5, 1)],
  ];
  it.each(different)('%s does', (_title, other) => {
    expect(isSameName(plain, other)).toBe(false);
    expect(isSameName(other, plain)).toBe(false);
  });

  it('what can not be read as text is the same as its own bytes alone', () => {
    const bad = (last: number): Uint8Array => nameOf([cn, tags.utf8String, Buffer.of(0xff, last)]);
    expect(isSameName(bad(1), bad(1))).toBe(true);
    expect(isSameName(bad(1), bad(2))).toBe(false);
    const long = (text: string): Uint8Array => nameOf([cn, tags.utf8String, text.repeat(5000)]);
    expect(isSameName(long('a'), long('A'))).toBe(false);
    expect(canonicalRdns(long('a'))).toHaveLength(1);
  });

  const chain = async (issuerDer: Uint8Array): Promise<Asked> => {
    const root = await make('Root', { extensions: ca(), subjectDer: plain, issuerDer: plain });
    const leaf = await make('leaf', {
      issuer: root,
      issuerDer,
      signer: createTestSigner('ec-p256'),
    });
    return { leaf, root };
  };
  it('in a path, and so do the CRLs of its authorities', async () => {
    for (const [title, name] of same) {
      const asked = await chain(name);
      expect(judge(asked), title).toBe('valid');
      for (const crlName of [plain, name]) {
        const crl = await rawCrl({ issuerDer: crlName, signer: asked.root.signer });
        const gone = await rawCrl({
          ...{ issuerDer: crlName, signer: asked.root.signer },
          entries: [entry(serialOf(asked.leaf))],
        });
        expect(judge({ ...asked, crls: [crl] }), title).toBe('valid');
        expect(judge({ ...asked, crls: [gone] }), title).toBe('revoked');
      }
    }
    for (const [title, name] of different.slice(0, -1)) {
      expect(judge(await chain(name)), title).toBe('path');
    }
  });

  it.skipIf(!has('openssl'))('as OpenSSL compares them, where it does', async () => {
    const ascii = (text: string, tag: number = tags.utf8String): Uint8Array =>
      nameOf([o, tag, text]);
    const root = await make('Root', {
      ...{
        extensions: ca(),
        subjectDer: ascii('Example Plant'),
        issuerDer: ascii('Example Plant'),
      },
    });
    for (const issuerDer of [
      ascii('EXAMPLE plant'),
      ascii(' Example   Plant '),
      ascii('Example Plant', tags.printableString),
      ascii('Example Plant', tags.teletexString),
      ascii('ExamplePlant'),
      ascii('Example Plants'),
    ]) {
      const leaf = await make('leaf', {
        issuer: root,
        issuerDer,
        signer: createTestSigner('ec-p256'),
      });
      expect(judge({ leaf, root })).toBe(await openssl({ leaf, root }));
    }
  });
});

describe('serials against RFC 5280 §4.1.2.2 are taken gracefully', () => {
  const odd: [string, Uint8Array, string][] = [
    ['zero', der.integer(0), '00'],
    ['a negative one', der.integer(-129), '-ff7f'],
    ['one of 21 octets', der.unsignedInteger(Buffer.alloc(21, 0x7f)), '7f'.repeat(21)],
    ['one of 40 octets', der.unsignedInteger(Buffer.alloc(40, 0xff)), 'ff'.repeat(40)],
  ];
  it.each(odd)('%s of a root, of an authority and of a leaf', async (_title, serialDer, text) => {
    const root = await make('Root', { extensions: ca(), serialDer });
    const issuing = await make('Issuing', {
      issuer: root,
      extensions: ca(),
      serialDer,
      signer: createTestSigner('ec-p256'),
    });
    const leaf = await make('leaf', {
      issuer: issuing,
      serialDer,
      signer: createTestSigner('ec-p256'),
    });
    const asked = { leaf, intermediates: [issuing], root };
    expect(parseCertificate(leaf.der).serial).toBe(text);
    expect(judge(asked)).toBe('valid');
    const crl = await rawCrl({
      issuerDer: encodeName(issuing.subject),
      signer: issuing.signer,
      entries: [entry(serialDer)],
    });
    const empty = await rawCrl({ issuerDer: encodeName(root.subject), signer: root.signer });
    expect(judge({ ...asked, crls: [crl, empty] })).toBe('revoked');
  });

  it.each(odd)(
    '%s in a CRL leaves its other entries as they are',
    async (_title, serialDer, text) => {
      const root = await make('Root', { extensions: ca() });
      const good = await make('good', { issuer: root, signer: createTestSigner('ec-p256') });
      const bad = await make('bad', { issuer: root, signer: createTestSigner('ec-p256') });
      // A reason that is not known makes an entry no less revoked, and spoils nothing either.
      const strange = der.sequence(
        encodeExtension({ oid: oids.reasonCode, critical: false, valueDer: der.enumerated(7) }),
      );
      const crl = await rawCrl({
        ...{ issuerDer: encodeName(root.subject), signer: root.signer },
        entries: [entry(serialDer), entry(serialOf(bad), strange)],
      });
      expect(parseCrl(crl).entries.map(({ serial }) => serial)[0]).toBe(text);
      expect(judge({ leaf: good, root, crls: [crl] })).toBe('valid');
      expect(judge({ leaf: bad, root, crls: [crl] })).toBe('revoked');
      if (has('openssl')) {
        expect(await openssl({ leaf: good, root, crls: [crl] })).toBe('valid');
        expect(await openssl({ leaf: bad, root, crls: [crl] })).toBe('revoked');
      }
    },
  );
});

describe('an issuing distribution point restricts a CRL, whatever its name is (RFC 5280 §5.2.5, §6.3.3 (b)(2)(i))', () => {
  const issuerDer = encodeName([{ attribute: 'CN', value: 'Root' }]);
  const elsewhere = encodeName([{ attribute: 'CN', value: 'Elsewhere' }]);
  const shardRdn = der.sequence(der.oid(cn), der.utf8String('Shard 7'));
  const shardDer = nameOf([cn, tags.utf8String, 'Root'], [cn, tags.printableString, 'SHARD 7']);
  const uri = (text: string): Uint8Array => der.element(0x86, Buffer.from(text));
  const directory = (name: Uint8Array): Uint8Array => der.explicit(4, name);
  const full = (...names: Uint8Array[]): Uint8Array => der.explicit(0, der.explicit(0, ...names));
  const relative = der.explicit(0, der.element(0xa1, shardRdn));
  const point = (...parts: Uint8Array[]): Uint8Array => der.sequence(...parts);
  const email = der.element(0x81, Buffer.from('a@b'));

  const cases: [
    string,
    Uint8Array | undefined,
    Uint8Array | undefined,
    'valid' | 'status-unknown',
  ][] = [
    [
      'a directory name that the certificate does not have',
      point(full(directory(elsewhere))),
      undefined,
      'status-unknown',
    ],
    [
      'a directory name that it has',
      point(full(directory(elsewhere))),
      point(full(directory(elsewhere))),
      'valid',
    ],
    [
      'a directory name beside the URI that it has',
      point(full(directory(elsewhere), uri('http://a/1'))),
      point(full(uri('http://a/1'))),
      'valid',
    ],
    [
      'a directory name beside another URI',
      point(full(directory(elsewhere), uri('http://a/2'))),
      point(full(uri('http://a/1'))),
      'status-unknown',
    ],
    [
      "its issuer's own name, which every certificate has",
      point(full(directory(issuerDer))),
      undefined,
      'valid',
    ],
    [
      'a relative name that the certificate does not have',
      point(relative),
      undefined,
      'status-unknown',
    ],
    ['a relative name that it has', point(relative), point(relative), 'valid'],
    [
      'a relative name that it has in full',
      point(relative),
      point(full(directory(shardDer))),
      'valid',
    ],
    ['a name of a form that nobody compares', point(full(email)), undefined, 'status-unknown'],
    [
      'a URI of a point for some reasons only',
      point(full(uri('http://a/1'))),
      point(full(uri('http://a/1')), Uint8Array.of(0x81, 2, 5, 0x20)),
      'status-unknown',
    ],
    [
      "a URI of a point for another's CRL",
      point(full(uri('http://a/1'))),
      point(full(uri('http://a/1')), der.explicit(2, directory(elsewhere))),
      'status-unknown',
    ],
    [
      'no name, and a FALSE that is written out',
      point(Uint8Array.of(0x82, 1, 0)),
      undefined,
      'valid',
    ],
    ['authorities only', point(Uint8Array.of(0x82, 1, 0xff)), undefined, 'status-unknown'],
    [
      'attribute certificates only',
      point(Uint8Array.of(0x85, 1, 0xff)),
      undefined,
      'status-unknown',
    ],
    ['some reasons only', point(Uint8Array.of(0x83, 2, 5, 0x20)), undefined, 'status-unknown'],
    ['no point at all', undefined, point(full(uri('http://a/1'))), 'valid'],
  ];
  // A CRL for some reasons, or found by a point for some, is one of several that OpenSSL asks for; it then says so in other words.
  it.each(cases)('%s', async (title, idp, certificatePoint, expected) => {
    const root = await make('Root', { extensions: ca() });
    const extensions: Extension[] =
      certificatePoint === undefined
        ? []
        : [
            {
              oid: oids.cRLDistributionPoints,
              critical: false,
              valueDer: der.sequence(certificatePoint),
            },
          ];
    const leaf = await make('leaf', {
      issuer: root,
      extensions,
      signer: createTestSigner('ec-p256'),
    });
    const signed = { issuerDer, signer: root.signer };
    const crl = await rawCrl({ ...signed, ...(idp === undefined ? {} : { point: idp }) });
    expect(judge({ leaf, root, crls: [crl] })).toBe(expected);
    // Beside one that speaks of everything it changes nothing, whatever it does not say.
    const other = await rawCrl({ ...signed, number: 2, entries: [entry(serialOf(leaf))] });
    expect(judge({ leaf, root, crls: [crl, other] })).toBe('revoked');
    // OpenSSL does not know that one, and is stricter.
    if (!has('openssl') || title.startsWith("its issuer's own name")) return;
    const theirs = await openssl({ leaf, root, crls: [crl] }, '-extended_crl');
    expect(theirs === 'valid' ? 'valid' : 'status-unknown', title).toBe(expected);
  });
});

describe('a CRL signed by another key of the same authority (RFC 5280 §6.3.3 (f))', () => {
  const authority = async () => {
    const root = await make('Root', { extensions: ca() });
    const issuing = await makeWithKeyId(root, createTestSigner('ec-p256'));
    const leaf = await make('leaf', { issuer: issuing, signer: createTestSigner('ec-p256') });
    const rootCrl = await rawCrl({ issuerDer: encodeName(root.subject), signer: root.signer });
    return { root, issuing, leaf, rootCrl };
  };
  /** OpenSSL tells keys of one name apart by it. */
  const makeWithKeyId = (issuer: Made, signer: TestSigner): Promise<Made> =>
    make('CA', {
      ...{ issuer, signer },
      extensions: [
        ...ca(),
        {
          oid: oids.subjectKeyIdentifier,
          critical: false,
          valueDer: der.octetString(subjectKeyIdOf(signer.spkiDer)),
        },
      ],
    });
  const crlOf = (signer: TestSigner, ...entries: Uint8Array[]): Promise<Uint8Array> =>
    rawCrl({ issuerDer: encodeName([{ attribute: 'CN', value: 'CA' }]), signer, entries });

  it('is found by its certificate under the same trust anchor, and used', async () => {
    const { root, issuing, leaf, rootCrl } = await authority();
    const renewed = await makeWithKeyId(root, createTestSigner('ec-p256'));
    const asked = { leaf, intermediates: [issuing], root };
    const crls = [rootCrl, await crlOf(renewed.signer)];
    expect(judge({ ...asked, crls })).toBe('status-unknown');
    expect(judge({ ...asked, crls, signers: [renewed] })).toBe('valid');
    const gone = [rootCrl, await crlOf(renewed.signer, entry(serialOf(leaf)))];
    expect(judge({ ...asked, crls: gone, signers: [renewed] })).toBe('revoked');
    // One that says revoked is believed beside one that does not.
    const both = [...gone, await crlOf(issuing.signer)];
    expect(judge({ ...asked, crls: both, signers: [renewed] })).toBe('revoked');
    if (!has('openssl')) return;
    for (const list of [crls, gone]) {
      const theirs = await openssl({ ...asked, crls: list, signers: [renewed] }, '-extended_crl');
      expect(judge({ ...asked, crls: list, signers: [renewed] })).toBe(theirs);
    }
  });

  it('says nothing when that certificate was revoked, may not sign CRLs, or leads elsewhere', async () => {
    const { root, issuing, leaf, rootCrl } = await authority();
    const asked = { leaf, intermediates: [issuing], root };
    const signer = createTestSigner('ec-p256');
    const renewed = await make('CA', { issuer: root, extensions: ca(), signer });
    const crl = await crlOf(signer);
    const revokedCrl = await rawCrl({
      ...{ issuerDer: encodeName(root.subject), signer: root.signer },
      entries: [entry(serialOf(renewed))],
    });
    expect(judge({ ...asked, crls: [revokedCrl, crl], signers: [renewed] })).toBe('status-unknown');
    const otherRoot = await make('Other Root', {
      extensions: ca(),
      signer: createTestSigner('ec-p256'),
    });
    const elsewhere = await make('CA', { issuer: otherRoot, extensions: ca(), signer });
    expect(judge({ ...asked, crls: [rootCrl, crl], signers: [elsewhere] })).toBe('status-unknown');
    const leafLike = await make('CA', { issuer: root, signer });
    expect(judge({ ...asked, crls: [rootCrl, crl], signers: [leafLike] })).toBe('status-unknown');
    const selfMade = await make('CA', { extensions: ca(), signer });
    expect(judge({ ...asked, crls: [rootCrl, crl], signers: [selfMade] })).toBe('status-unknown');
  });

  it('may not vouch for its own signer', async () => {
    const { root, issuing, leaf, rootCrl } = await authority();
    const signer = createTestSigner('ec-p256');
    const byIssuing = await make('CA', { issuer: issuing, extensions: ca(), signer });
    const crl = await crlOf(signer);
    const asked = {
      leaf,
      intermediates: [issuing],
      root,
      crls: [rootCrl, crl],
      signers: [byIssuing, issuing],
    };
    expect(judge(asked)).toBe('status-unknown');
  });
});
