// A whole Hearth plugin in JavaScript. `npm install` once, then `hearth plugin build`.
import { generate } from 'hearth:plugin/model@0.1.0';
import { show } from 'hearth:plugin/panel@0.1.0';

const words = (text) => ({ tag: 'literal', val: text });
const value = (text) => ({ tag: 'value', val: text });

// What the host refused ends the call, in words for the user.
function refusal(error) {
  const why = error.payload ?? error;
  if (why.tag === 'denied') return `it is not allowed to use the ${why.val}`;
  return `the host refused a request: ${why.tag}`;
}

export const guest = {
  run(command, focus, input) {
    if (!focus) throw { tag: 'bad-input', val: 'choose a note first' };
    try {
      // `body` is a promise. It can go to the model and to a panel; this code never sees what it says.
      const body = focus.get('body');
      const haiku = generate(
        [
          {
            role: 'system',
            parts: [words('You write haiku: three lines of five, seven and five syllables.')],
          },
          { role: 'user', parts: [words('Write a haiku about this note.\n\n'), value(body)] },
        ],
        { maxTokens: 60, style: 'exact', weights: 'base', stop: [] },
      );
      show('haiku', [
        { tag: 'heading', val: 'Your haiku' },
        { tag: 'value', val: haiku },
      ]);
    } catch (error) {
      throw { tag: 'bad-input', val: refusal(error) };
    }
  },

  onEvent(panel, event) {
    throw { tag: 'unsupported' };
  },

  migrate(fromVersion) {},
};
