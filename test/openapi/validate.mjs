/*
 * validate.mjs
 *	  Validates OpenAPI documents, and bodies of requests against them.
 *
 * Usage: node validate.mjs FILE.  The file has a line of JSON for each question, one of
 *	{"document": …}                          is it an OpenAPI 3.1 document?
 *	{"document": …, "type": …, "body": …}    is that a body of this event type?
 * The answer to each is a line: "valid", or what is wrong.
 */
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

/* Packages are those of the present directory. */
const require = createRequire(`${process.cwd()}/`);
const {Validator} = await import(require.resolve('@seriousme/openapi-schema-validator'));
const Ajv = require('ajv/dist/2020').default;
const formats = require('ajv-formats').default;

async function answer({document, type, body})
{
	if (type === undefined)
	{
		const {valid, errors} = await new Validator().validate(structuredClone(document));
		return valid ? 'valid' : JSON.stringify(errors);
	}
	/* The document as a schema: what is not one is left out. */
	const ajv = new Ajv({strict: true, strictTypes: false, strictRequired: false, allErrors: true});
	formats(ajv);
	ajv.addFormat('int32', n => Number.isInteger(n) && n >= -(2 ** 31) && n < 2 ** 31);
	ajv.addVocabulary(['webhooks', 'components', 'openapi', 'info', 'security']);
	ajv.addSchema({$id: 'https://example.com/document', ...document});
	const place = `webhooks/${type}/post/requestBody/content/application~1json/schema`;
	const validate = ajv.getSchema(`https://example.com/document#/${place}`);
	return validate(body) ? 'valid' : ajv.errorsText(validate.errors);
}

for (const line of readFileSync(process.argv[2], 'utf8').trim().split('\n'))
	console.log(await answer(JSON.parse(line)).catch(error => `${error}`));
