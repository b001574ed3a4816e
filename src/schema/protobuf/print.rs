//! The text of a model: the canonical form, which is stored, and the normalised one.

use super::model::{
    Constant, Enum, Extend, ExtensionRange, Field, FieldType, File, MAX_FIELD_NUMBER, Message, OptionName, Reach,
    Reserved, Service, Setting, Symbol, Symbols, Syntax, TypeName, join,
};

/// Which text to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Declarations in their order, names as short as they can be.
    Canonical,
    /// Imports, options, fields, oneofs, enum values and ranges sorted, names in full with a leading dot.
    Normalized,
}

/// Prints a file.
pub(super) fn text(file: &File, symbols: &Symbols, form: Form) -> String {
    let mut printer = Printer { out: String::new(), depth: 0, form, symbols, package: &file.package };
    printer.file(file);
    printer.out
}

struct Printer<'a> {
    out: String,
    depth: usize,
    form: Form,
    symbols: &'a Symbols,
    package: &'a str,
}

impl Printer<'_> {
    fn sorted(&self) -> bool {
        self.form == Form::Normalized
    }

    /// The items in print order: as they are, or by a key.
    fn order<'t, T, K: Ord>(&self, items: &'t [T], key: impl Fn(&T) -> K) -> Vec<&'t T> {
        let mut items: Vec<&T> = items.iter().collect();
        if self.sorted() {
            items.sort_by_key(|item| key(item));
        }
        items
    }

    fn line(&mut self, text: &str) {
        self.indent();
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }

    /// Ends the line of an opening brace, or leaves a blank line between two blocks.
    fn block(&mut self) {
        self.out.push('\n');
    }

    fn open(&mut self, head: &str) {
        self.indent();
        self.out.push_str(head);
        self.out.push_str(" {");
        self.depth += 1;
    }

    fn close(&mut self, end: &str) {
        self.depth -= 1;
        if self.out.ends_with('\n') {
            self.indent();
        }
        self.out.push_str(end);
        self.out.push('\n');
    }

    fn file(&mut self, file: &File) {
        if file.syntax == Syntax::Proto3 || !self.sorted() {
            self.line(&format!("syntax = \"{}\";", file.syntax.as_str()));
        }
        if !file.package.is_empty() {
            self.line(&format!("package {};", file.package));
        }
        if !file.imports.is_empty() {
            self.block();
            let mut imports = self.order(&file.imports, |import| (import.reach, import.path.clone()));
            if self.sorted() {
                imports.dedup();
            }
            for import in imports {
                let reach = match import.reach {
                    Reach::Plain => "",
                    Reach::Weak => "weak ",
                    Reach::Public => "public ",
                };
                self.line(&format!("import {reach}\"{}\";", import.path));
            }
        }
        let package = file.package.clone();
        if !file.options.is_empty() {
            self.block();
            self.option_lines(&file.options, &package);
        }
        if !file.messages.is_empty() || !file.enums.is_empty() {
            self.block();
            self.types(&file.messages, &file.enums, &package);
        }
        if !file.extends.is_empty() {
            self.block();
            self.extends(&file.extends, &package);
        }
        if !file.services.is_empty() {
            self.block();
            for service in &file.services {
                self.service(service, &package);
            }
        }
    }

    fn types(&mut self, messages: &[Message], enums: &[Enum], scope: &str) {
        for message in messages {
            self.open(&format!("message {}", message.name));
            self.body(message, scope);
            self.close("}");
        }
        for declared in enums {
            self.enumeration(declared, scope);
        }
    }

    fn body(&mut self, message: &Message, scope: &str) {
        let scope = &join(scope, &message.name);
        if !message.reserved.ranges.is_empty() || !message.reserved.names.is_empty() {
            self.block();
            self.reserved(&message.reserved, MAX_FIELD_NUMBER);
        }
        if !message.options.is_empty() {
            self.block();
            self.option_lines(&message.options, scope);
        }
        let group = |field: &Field| matches!(field.kind, FieldType::Group(_));
        self.fields(&message.fields, scope, |field| !group(field));
        if !message.oneofs.is_empty() {
            self.block();
            let first = |field: &Field| field.number;
            for oneof in self.order(&message.oneofs, |oneof| oneof.fields.iter().map(first).min()) {
                self.open(&format!("oneof {}", oneof.name));
                if !oneof.options.is_empty() {
                    self.block();
                    self.option_lines(&oneof.options, scope);
                }
                self.fields(&oneof.fields, scope, |field| !group(field));
                self.fields(&oneof.fields, scope, group);
                self.close("}");
            }
        }
        self.fields(&message.fields, scope, group);
        if !message.extensions.is_empty() {
            self.block();
            self.extension_ranges(&message.extensions, scope);
        }
        if !message.extends.is_empty() {
            self.block();
            self.extends(&message.extends, scope);
        }
        if !message.nested.is_empty() || !message.enums.is_empty() {
            self.block();
            self.types(&message.nested, &message.enums, scope);
        }
    }

    fn fields(&mut self, fields: &[Field], scope: &str, wanted: impl Fn(&Field) -> bool) {
        if fields.iter().any(&wanted) {
            self.block();
            for field in self.order(fields, |field| field.number).into_iter().filter(|field| wanted(field)) {
                self.field(field, scope);
            }
        }
    }

    fn field(&mut self, field: &Field, scope: &str) {
        let label = field.label.map_or_else(String::new, |label| format!("{} ", label.as_str()));
        if let FieldType::Group(body) = &field.kind {
            self.indent();
            self.out.push_str(&format!("{label}group {} = {}", body.name, field.number));
            self.bracketed(&field.options, scope);
            self.out.push_str(" {");
            self.depth += 1;
            self.body(body, scope);
            self.close("}");
            return;
        }
        let kind = self.kind(&field.kind, scope);
        self.indent();
        self.out.push_str(&format!("{label}{kind} {} = {}", field.name, field.number));
        self.bracketed(&field.options, &join(scope, &field.name));
        self.out.push_str(";\n");
    }

    fn kind(&self, kind: &FieldType, scope: &str) -> String {
        match kind {
            FieldType::Scalar(name) => (*name).to_owned(),
            FieldType::Named(name) => self.type_name(name, scope),
            FieldType::Map(key, value) => format!("map<{key}, {}>", self.kind(value, scope)),
            FieldType::Group(body) => body.name.clone(),
        }
    }

    fn type_name(&self, name: &TypeName, scope: &str) -> String {
        match name {
            TypeName::Full(full) if self.sorted() => format!(".{full}"),
            TypeName::Full(full) => self.symbols.shorten(full, scope, self.package, Symbol::is_type),
            TypeName::Written(written) => written.clone(),
        }
    }

    fn enumeration(&mut self, declared: &Enum, scope: &str) {
        self.open(&format!("enum {}", declared.name));
        let has_reserved = !declared.reserved.ranges.is_empty() || !declared.reserved.names.is_empty();
        if has_reserved || !declared.options.is_empty() || !declared.values.is_empty() {
            self.block();
        }
        self.reserved(&declared.reserved, i32::MAX);
        self.option_lines(&declared.options, scope);
        for value in self.order(&declared.values, |value| (value.number, value.name.clone())) {
            self.indent();
            self.out.push_str(&format!("{} = {}", value.name, value.number));
            self.bracketed(&value.options, scope);
            self.out.push_str(";\n");
        }
        self.close("}");
    }

    fn reserved(&mut self, reserved: &Reserved, max: i32) {
        let ranges = self.order(&reserved.ranges, |range| *range);
        let ranges: Vec<String> = ranges.into_iter().map(|(first, last)| range(*first, *last, max)).collect();
        let names = self.order(&reserved.names, String::clone);
        let names: Vec<String> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
        if self.sorted() {
            for item in ranges.into_iter().chain(names) {
                self.line(&format!("reserved {item};"));
            }
            return;
        }
        for list in [ranges, names] {
            if !list.is_empty() {
                self.line(&format!("reserved {};", list.join(", ")));
            }
        }
    }

    fn extension_ranges(&mut self, ranges: &[ExtensionRange], scope: &str) {
        let ranges = self.order(ranges, |range| range.first);
        let mut rest = ranges.as_slice();
        while let Some(first) = rest.first() {
            let alike = rest.iter().take_while(|range| range.options == first.options).count();
            let (line, after) = rest.split_at(if self.sorted() { 1 } else { alike });
            let shown: Vec<String> = line.iter().map(|item| range(item.first, item.last, MAX_FIELD_NUMBER)).collect();
            self.indent();
            self.out.push_str(&format!("extensions {}", shown.join(", ")));
            self.bracketed(&first.options, scope);
            self.out.push_str(";\n");
            rest = after;
        }
    }

    fn extends(&mut self, extends: &[Extend], scope: &str) {
        for extend in extends {
            let name = self.type_name(&extend.extendee, scope);
            self.open(&format!("extend {name}"));
            self.block();
            for field in self.order(&extend.fields, |field| field.number) {
                self.field(field, scope);
            }
            self.close("}");
        }
    }

    fn service(&mut self, service: &Service, package: &str) {
        let scope = join(package, &service.name);
        self.open(&format!("service {}", service.name));
        if !service.options.is_empty() {
            self.block();
            self.option_lines(&service.options, &scope);
        }
        if !service.methods.is_empty() {
            self.block();
        }
        for method in &service.methods {
            let stream = |streaming: bool| if streaming { "stream " } else { "" };
            let head = format!(
                "rpc {} ({}{}) returns ({}{})",
                method.name,
                stream(method.client_streaming),
                self.type_name(&method.input, &scope),
                stream(method.server_streaming),
                self.type_name(&method.output, &scope),
            );
            if method.options.is_empty() {
                self.line(&format!("{head};"));
            } else {
                self.open(&head);
                self.block();
                self.option_lines(&method.options, &join(&scope, &method.name));
                self.close("};");
            }
        }
        self.close("}");
    }

    fn option_lines(&mut self, options: &[Setting], scope: &str) {
        for option in self.order(options, |option| option.name.clone()) {
            self.indent();
            self.out.push_str("option ");
            self.setting(option, scope);
            self.out.push_str(";\n");
        }
    }

    /// The options after a field's number: one stays on the line, several get a line each.
    fn bracketed(&mut self, options: &[Setting], scope: &str) {
        let options = self.order(options, |option| option.name.clone());
        match options.as_slice() {
            [] => {}
            [only] => {
                self.out.push_str(" [");
                self.setting(only, scope);
                self.out.push(']');
            }
            several => {
                self.out.push_str(" [\n");
                self.depth += 1;
                for (at, option) in several.iter().enumerate() {
                    self.indent();
                    self.setting(option, scope);
                    self.out.push_str(if at + 1 < several.len() { ",\n" } else { "\n" });
                }
                self.depth -= 1;
                self.indent();
                self.out.push(']');
            }
        }
    }

    fn setting(&mut self, setting: &Setting, scope: &str) {
        match &setting.name {
            OptionName::Plain(name) | OptionName::Written(name) => self.out.push_str(name),
            OptionName::Extension(full) => {
                let name = self.extension_name(full, scope);
                self.out.push_str(&format!("({name})"));
            }
        }
        self.out.push_str(" = ");
        self.constant(&setting.value);
    }

    /// A custom option's full name, with a leading dot only where it would mean something else without.
    fn extension_name(&self, full: &str, scope: &str) -> String {
        let found = self.symbols.resolve(full, scope, |symbol| symbol == Symbol::Extension);
        if found.as_deref() == Some(full) { full.to_owned() } else { format!(".{full}") }
    }

    fn constant(&mut self, value: &Constant) {
        match value {
            Constant::Word(word) => self.out.push_str(word),
            Constant::Message(parts) => {
                self.out.push_str("{\n");
                self.depth += 1;
                for (at, (name, value)) in parts.iter().enumerate() {
                    self.indent();
                    self.out.push_str(name);
                    self.out.push_str(": ");
                    self.constant(value);
                    self.out.push_str(if at + 1 < parts.len() { ",\n" } else { "\n" });
                }
                self.depth -= 1;
                self.indent();
                self.out.push('}');
            }
            Constant::List(values) => {
                self.out.push_str("[\n");
                self.depth += 1;
                for (at, value) in values.iter().enumerate() {
                    self.indent();
                    self.constant(value);
                    self.out.push_str(if at + 1 < values.len() { ",\n" } else { "\n" });
                }
                self.depth -= 1;
                self.indent();
                self.out.push(']');
            }
        }
    }
}

fn range(first: i32, last: i32, max: i32) -> String {
    if last >= max && first != last {
        format!("{first} to max")
    } else if first == last {
        first.to_string()
    } else {
        format!("{first} to {last}")
    }
}
