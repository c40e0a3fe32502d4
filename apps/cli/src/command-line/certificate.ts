// The words of `keyline certificate`.
import { Option, type Command } from 'commander';
import type { Act } from './act.ts';
import {
  collect,
  example,
  parseCount,
  withClientOptions,
  type ClientOptions,
} from './client-options.ts';
import type { IssueOptions } from '../certificate/issue-certificate.ts';
import type {
  CertificateListOptions,
  RevokeCertificateOptions,
} from '../certificate/certificates.ts';
import { keyAlgorithmNames, revocationReasonNames } from './device.ts';

export function addCertificateCommands(program: Command, act: Act): void {
  const certificate = example(
    program
      .command('certificate')
      .description('Certificates of servers, operators and stations, and any one by its serial.'),
    'keyline certificate issue --profile broker-server --dns mqtt.example.org --out broker/',
  );

  example(
    withClientOptions(
      certificate
        .command('issue')
        .description(
          'Issue a certificate for a broker, a web server, an operator or a station. The key is made here and never leaves; writes NAME.key, NAME.crt (leaf and chain) and ca.pem. Devices enroll, and services are made (keyline service create).',
        ),
    )
      .requiredOption(
        '--profile <profile>',
        'broker-server, service-server, operator, station, admin, or another of ca-config/profiles',
      )
      .option(
        '--name <name>',
        'whose it is: alice@operator (default for a server: its first name and "@server")',
      )
      .option('--dns <name>', 'name that a server is called by (repeatable)', collect)
      .option('--ip <address>', 'address that a server is called by (repeatable)', collect)
      .requiredOption('--out <dir>', 'folder for the files (created when it is missing)')
      .option('--renew', 'the next certificate of the key that is there, in place of NAME.crt')
      .option('--pkcs12 <file>', 'key and certificates in one file besides, for browsers')
      .option(
        '--pkcs12-password-file <file>',
        'file with its import password (default: one is made and shown once)',
      )
      .option(
        '--pkcs12-compatible',
        'in the older form: for Windows Server 2016, Android 12, the macOS keychain and what is older',
      )
      .addOption(
        new Option('--algorithm <name>', 'kind of key')
          .choices([...keyAlgorithmNames])
          .default('ec-p256'),
      )
      .option('--validity <duration>', 'ask for less than the profile gives, for instance 12h'),
    'keyline certificate issue --profile broker-server --dns mqtt.example.org --ip 192.0.2.7 --out broker/',
    'keyline certificate issue --profile operator --name alice@operator --out alice/ --pkcs12 alice/alice.p12',
  ).action(
    act(async (context, options: IssueOptions) => {
      const { issueCertificate } = await import('../certificate/issue-certificate.ts');
      await issueCertificate(context, options);
    }),
  );

  example(
    withClientOptions(
      certificate
        .command('list')
        .description(
          'List certificates in force of servers, services, operators and stations; those of a device are shown with it.',
        ),
    )
      .addOption(
        new Option('--kind <kind>', 'what they are for').choices([
          'server',
          'service',
          'operator',
          'station',
          'ocsp',
        ]),
      )
      .option('--expires-before <time>', 'ending before: RFC 3339, or 30d from now')
      .option('-q, --query <text>', 'name begins with')
      .option('--limit <n>', 'at most so many (default 100)', parseCount)
      .option('--all', 'all of them'),
    'keyline certificate list --kind server --expires-before 30d',
  ).action(
    act(async (context, options: CertificateListOptions) => {
      const { listCertificates } = await import('../certificate/certificates.ts');
      await listCertificates(context, options);
    }),
  );

  example(
    withClientOptions(
      certificate.command('show').argument('<serial>').description('One certificate, by serial.'),
    ),
    'keyline certificate show 4f1c0a7be2d95a3310c2f6aa',
  ).action(
    act(async (context, serial: string, options: ClientOptions) => {
      const { showCertificate } = await import('../certificate/certificates.ts');
      await showCertificate(context, serial, options);
    }),
  );

  example(
    withClientOptions(
      certificate
        .command('revoke')
        .argument('<serial>')
        .description(
          'Revoke one certificate. A device or service keeps its others, and its rights.',
        ),
    )
      .addOption(
        new Option('--reason <reason>', 'RFC 5280 reason').choices([...revocationReasonNames]),
      )
      .option('--wait', 'until brokers and the CRL have it, as long as the service waits'),
    'keyline certificate revoke 4f1c0a7be2d95a3310c2f6aa --reason keyCompromise --wait',
  ).action(
    act(async (context, serial: string, options: RevokeCertificateOptions) => {
      const { revokeCertificate } = await import('../certificate/certificates.ts');
      return await revokeCertificate(context, serial, options);
    }),
  );
}
