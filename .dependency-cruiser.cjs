// The direction of imports: kernel ← x509 ← pki ← ledger, mqtt ← access ← fleet ← adapters ← apps. Each rule says why it is there;
// the comment is printed with the error.

const rooms = (...names) => `^libs/(${names.join('|')})/`;

const io = [
  'child_process',
  'cluster',
  'dgram',
  'dns',
  'fs',
  'http',
  'http2',
  'https',
  'inspector',
  'net',
  'process',
  'readline',
  'repl',
  'sqlite',
  'tls',
  'tty',
  'worker_threads',
];
const network = ['dgram', 'dns', 'http', 'http2', 'https', 'net', 'tls'];
const coreModules = (names) => `^(node:)?(${names.join('|')})(/|$)`;
const packages = (...names) => `(^|/)node_modules/(${names.join('|')})(/|$)`;

// Rooms that keep state, reach out or read files. Each is one side of a port; what two of them share belongs to the port.
const adapters = [
  'client',
  'edge',
  'files',
  'process',
  'keys',
  'authorities',
  'status',
  'store',
  'backup',
  'targets',
  'alerts',
  'config',
  'api',
  'dynsec',
  'kit',
];
const adapterMayImport = {
  client: ['api', 'files', 'keys', 'kit', 'pki', 'x509'],
  edge: [],
  files: [],
  process: ['files'],
  keys: ['x509', 'files'],
  authorities: ['keys', 'x509', 'pki', 'ledger', 'fleet'],
  status: ['files', 'authorities', 'x509', 'pki', 'fleet', 'ledger'],
  store: ['fleet', 'ledger', 'pki', 'access'],
  backup: ['files', 'process', 'keys', 'store'],
  targets: ['dynsec', 'access', 'fleet', 'ledger'],
  alerts: ['fleet', 'ledger', 'pki'],
  config: ['x509', 'pki', 'access', 'alerts'],
  api: ['fleet', 'pki', 'access'],
  dynsec: ['mqtt', 'journal', 'files'],
  kit: [],
};

/** A room may import only these other rooms (and kernel). */
const only = (room, allowed, why) => ({
  name: `${room}-imports-only-its-rooms`,
  comment: why,
  severity: 'error',
  from: { path: `^libs/${room}/src` },
  to: { path: '^(libs|apps)/', pathNot: rooms(room, 'kernel', ...allowed) },
});

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment:
        'A circle means that two files are one: neither can be read, tested or replaced alone.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'not-to-unresolvable',
      comment:
        'The import does not resolve: a wrong path, or a package that is not in this room’s package.json.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'not-to-undeclared',
      comment:
        'A room declares what it imports in its own package.json, so that it can be installed and audited alone.',
      severity: 'error',
      from: { path: '^(apps|libs)/[^/]+/src' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'] },
    },
    {
      name: 'only-through-the-index',
      comment:
        'A room’s surface is its src/index.ts: import @keyline/<room>, never a file inside it.',
      severity: 'error',
      from: { path: '^(apps|libs)/([^/]+)/' },
      to: {
        path: '^(apps|libs)/[^/]+/',
        pathNot: ['^$1/$2/', '^(apps|libs)/[^/]+/src/index\\.ts$', '^libs/[^/]+/test/'],
      },
    },
    {
      name: 'sources-do-not-import-tests',
      comment: 'What runs in production may not depend on what is only there to test it.',
      severity: 'error',
      from: { path: '^(apps|libs)/[^/]+/src' },
      to: { path: '(^|/)test/' },
    },
    {
      name: 'kernel-imports-nothing',
      comment: 'Everything stands on kernel; what kernel imports, everything imports.',
      severity: 'error',
      from: { path: '^libs/kernel/src' },
      to: { pathNot: ['^libs/kernel/', '^(node:)?(crypto|util)$'] },
    },
    {
      name: 'asn1-libraries-stay-in-x509',
      comment:
        'Only libs/x509 knows the ASN.1 libraries, so that replacing or distrusting one is a change in one room.',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: '^libs/x509/' },
      to: {
        path: packages('@peculiar', 'pkijs', 'asn1js', 'pvutils', 'pvtsutils', 'reflect-metadata'),
      },
    },
    {
      name: 'inner-rooms-do-no-io',
      comment:
        'pki, ledger, fleet, access, mqtt, journal and x509 decide; reading, writing and sending is done by adapters behind ports. It makes them testable.',
      severity: 'error',
      from: { path: '^libs/(pki|ledger|fleet|access|mqtt|journal|x509)/src' },
      to: { path: coreModules(io), dependencyTypes: ['core'] },
    },
    only('x509', [], 'x509 reads and writes DER and knows nothing of policy: kernel ← x509.'),
    only('journal', [], 'journal makes lines of records and knows of no file: kernel ← journal.'),
    only('mqtt', [], 'mqtt reads and writes packets and knows of no broker: kernel ← mqtt.'),
    only(
      'access',
      ['mqtt'],
      'Rights are said in no broker’s dialect and need no certificates: kernel ← mqtt ← access.',
    ),
    only(
      'pki',
      ['x509'],
      'What a certificate should be does not depend on who asks for it: kernel ← x509 ← pki.',
    ),
    only(
      'ledger',
      ['pki'],
      'What was recorded is read by all that stands above it, and knows none of them: pki ← ledger ← fleet.',
    ),
    only(
      'fleet',
      ['x509', 'pki', 'access', 'ledger'],
      'Use cases see adapters through their own ports only: pki, access, ledger ← fleet.',
    ),
    ...adapters.map((room) =>
      only(
        room,
        adapterMayImport[room],
        'Adapters do not import each other or apps: each can then be replaced alone. What two share belongs to a port in fleet or to kernel.',
      ),
    ),
    {
      name: 'apps-never-import-each-other',
      comment:
        'Each app is a process of its own, restartable and installable alone; what two share belongs to a room in libs.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'libs-never-import-apps',
      comment: 'Apps are the outside of the house; nothing inside depends on them.',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^apps/' },
    },
    {
      name: 'embedded-broker-knows-no-fleet',
      comment:
        'The embedded broker carries no fleet, PKI or database into memory and into what is audited: it is told what it must know over dynamic security and in files.',
      severity: 'error',
      from: { path: '^apps/broker/src', pathNot: '^apps/broker/src/mosquitto/' },
      to: {
        path: '^libs/',
        pathNot: rooms('kernel', 'mqtt', 'journal', 'dynsec', 'edge', 'files', 'process'),
      },
    },
    {
      name: 'mosquitto-is-loaded-when-asked-for',
      comment:
        'What supervises a Mosquitto knows roles and CRLs, and so the fleet’s rooms: main.ts imports it when it is asked for, and nobody else.',
      severity: 'error',
      from: { path: '^apps/broker/src', pathNot: '^apps/broker/src/mosquitto/' },
      to: {
        path: '^apps/broker/src/mosquitto/',
        dynamic: false,
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'root-ca-reaches-no-network',
      comment:
        'The offline root must provably have no network: no module that can open a connection is reachable from it, in any number of steps. (The sandbox refuses it as well; this keeps it out of the code.)',
      severity: 'error',
      from: { path: '^apps/root-ca/src' },
      to: {
        path: [coreModules(network), packages('undici', 'mqtt', 'fastify', '@fastify', 'ws')],
        reachable: true,
      },
    },
    {
      name: 'root-ca-stays-small',
      comment:
        'What runs beside the root key is read line by line by somebody: DER, certificates, files, keys, and the command line. Nothing of the fleet.',
      severity: 'error',
      from: { path: '^apps/root-ca/src' },
      to: { path: '^libs/', pathNot: rooms('kernel', 'x509', 'pki', 'files', 'keys') },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(fixtures|build)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.cjs', '.mjs', '.json', '.d.ts'],
    },
  },
};
