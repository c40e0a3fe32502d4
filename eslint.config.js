// The linter: typescript-eslint's strictest type-checked set, minus what fights this project's style, plus its own rules.
import tseslint from 'typescript-eslint';

const processIsForMain =
  'Only main.ts reads process.*: pass what you need as an argument, so that a test can pass something else.';

export default tseslint.config(
  { ignores: ['**/node_modules/', 'build/', '.keyline/', '**/fixtures/', '**/*.{js,cjs,mjs}'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'no-eval': 'error',
      'no-new-func': 'error',
      'no-param-reassign': 'error',
      'object-shorthand': 'error',
      'prefer-const': 'error',
      'prefer-template': 'error',
      // A file is one noun. The limit leaves room for formatting, not for a second noun.
      'max-lines': ['error', { max: 360, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      // Numbers and booleans print as one expects; objects and undefined do not, and stay errors.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/restrict-plus-operands': ['error', { allowNumberAndString: true }],
      // `() => list.push(x)` reads well and loses nothing.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // Ports are asynchronous also where one implementation has nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      'no-restricted-syntax': [
        'error',
        {
          selector: 'ExportAllDeclaration[exported=null]',
          message:
            'Name what others use: a room’s surface is what its index names, and nothing more.',
        },
      ],
      // `while (true)` around a read loop is plain.
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
    },
  },
  {
    files: ['apps/*/src/**/*.ts', 'libs/*/src/**/*.ts'],
    ignores: ['apps/*/src/main.ts'],
    rules: {
      'no-restricted-globals': ['error', { name: 'process', message: processIsForMain }],
      'no-restricted-imports': [
        'error',
        { paths: ['process', 'node:process'].map((name) => ({ name, message: processIsForMain })) },
      ],
    },
  },
  {
    files: ['**/test/**/*.ts', 'scripts/**/*.ts'],
    rules: {
      'no-console': 'off',
      'max-lines': 'off',
      // Tests take apart JSON they have just received and know what they put where; a wrong guess fails the test.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    files: ['apps/*/src/main.ts', 'scripts/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
);
