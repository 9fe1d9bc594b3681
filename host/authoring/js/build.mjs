// Makes a component of a script: node build.mjs SCRIPT WIT-FOLDER WORLD OUTPUT. The engine's own powers are left out, so
// that the component asks the host for nothing but the plugin interface.
import { createRequire } from 'node:module';
import { writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';

const [script, wit, world, output] = process.argv.slice(2);
const require = createRequire(resolve('package.json'));
const { componentize } = await import(
  pathToFileURL(require.resolve('@bytecodealliance/componentize-js'))
);
const { component } = await componentize({
  sourcePath: script,
  witPath: wit,
  worldName: world,
  disableFeatures: ['random', 'stdio', 'clocks', 'http', 'fetch-event'],
});
await writeFile(output, component);
