// Makes a component of a script: node build.mjs SCRIPT WIT-FOLDER WORLD OUTPUT. The engine's own powers are left out, so
// that the component asks the host for nothing but the plugin interface.
import { writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const [script, wit, world, output] = process.argv.slice(2);
const { component } = await componentize({
  sourcePath: script,
  witPath: wit,
  worldName: world,
  disableFeatures: ['random', 'stdio', 'clocks', 'http', 'fetch-event'],
});
await writeFile(output, component);
