// The words of `keyline ca`.
import type { Command } from 'commander';
import type { Act } from './act.ts';
import { collect, example, withClientOptions, type ClientOptions } from './client-options.ts';
import type {
  ActivateAuthorityOptions,
  AddAuthorityOptions,
  InstallAuthorityOptions,
} from '../operations/change-authorities.ts';

export function addAuthorityCommands(program: Command, act: Act): void {
  const ca = example(
    program.command('ca').description('Authorities: the root and the issuing CAs.'),
    'keyline ca list',
  );
  const command = (name: string, text: string, sample: string): Command =>
    example(withClientOptions(ca.command(name).description(text)), sample);

  command('list', 'List authorities, what they issue, and their CRLs.', 'keyline ca list').action(
    act(async (context, options: ClientOptions) => {
      const { listAuthorities } = await import('../operations/authorities.ts');
      await listAuthorities(context, options);
    }),
  );

  command(
    'add',
    'Add an issuing authority: the service makes its key, and the CSR for the root to sign goes to stdout.',
    'keyline ca add issuing-2 > issuing-2.csr',
  )
    .argument('<id>', 'short name in URLs: a-z, 0-9 and "-"')
    .option('--common-name <cn>', 'common name (default: "Keyline Issuing CA ID")')
    .option('--algorithm <name>', 'key algorithm (default: ec-p256)')
    .action(
      act(async (context, id: string, options: AddAuthorityOptions) => {
        const { addAuthority } = await import('../operations/change-authorities.ts');
        await addAuthority(context, id, options);
      }),
    );

  command(
    'install',
    'Give an added authority the certificate that the root signed. It issues nothing until it is activated; let devices and brokers learn a new root first.',
    'keyline ca install issuing-2 --certificate issuing-2.crt --root root.crt',
  )
    .argument('<id>', 'the authority')
    .requiredOption('--certificate <file>', 'what the root signed, PEM')
    .requiredOption('--root <file>', 'the root certificate, PEM')
    .action(
      act(async (context, id: string, options: InstallAuthorityOptions) => {
        const { installAuthority } = await import('../operations/change-authorities.ts');
        await installAuthority(context, id, options);
      }),
    );

  command(
    'activate',
    'Make an authority the issuer of profiles from now on.',
    'keyline ca activate issuing-2 --profile device-client',
  )
    .argument('<id>', 'the authority')
    .option('--profile <name>', 'a profile; may come several times (default: all)', collect)
    .action(
      act(async (context, id: string, options: ActivateAuthorityOptions) => {
        const { activateAuthority } = await import('../operations/change-authorities.ts');
        await activateAuthority(context, id, options);
      }),
    );

  command(
    'retire',
    'Retire an authority that issues nothing any more: it goes on signing its CRL and OCSP answers until its last leaf ends.',
    'keyline ca retire issuing-1',
  )
    .argument('<id>', 'the authority')
    .action(
      act(async (context, id: string, options: ClientOptions) => {
        const { retireAuthority } = await import('../operations/change-authorities.ts');
        await retireAuthority(context, id, options);
      }),
    );

  command(
    'root-crl',
    "Bring a root's CRL, as keyline-root crl makes it, with the OCSP answers beside it (root.crl.ocsp); both are served.",
    'keyline ca root-crl root.crl',
  )
    .argument('<file>', 'PEM')
    .action(
      act(async (context, file: string, options: ClientOptions) => {
        const { bringRootCrl } = await import('../operations/change-authorities.ts');
        await bringRootCrl(context, file, options);
      }),
    );

  command(
    'trust',
    'Add a root that is to come, or a cross certificate (keyline-root cross-sign), to the trust bundle that everybody gets.',
    'keyline ca trust next-root.crt',
  )
    .argument('<file>', 'PEM')
    .action(
      act(async (context, file: string, options: ClientOptions) => {
        const { addTrust } = await import('../operations/change-authorities.ts');
        await addTrust(context, file, options);
      }),
    );

  command(
    'approvals',
    'Changes that wait for a second administrator, and those that were decided.',
    'keyline ca approvals',
  ).action(
    act(async (context, options: ClientOptions) => {
      const { listApprovals } = await import('../operations/approvals.ts');
      await listApprovals(context, options);
    }),
  );

  for (const [decision, text] of [
    ['approve', 'Approve a change that another administrator asked for: it is done then.'],
    ['reject', 'Reject a change that waits, or take back what you asked for.'],
  ] as const) {
    command(decision, text, `keyline ca ${decision} apr_4f1c0a7be2d95a3310c2f6aa`)
      .argument('<id>', 'the request, as keyline ca approvals shows it')
      .action(
        act(async (context, id: string, options: ClientOptions) => {
          const { decide } = await import('../operations/approvals.ts');
          await decide(context, { decision, id, options });
        }),
      );
  }
}
