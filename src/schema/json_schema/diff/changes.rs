//! The kinds of difference, which of them are harmless to a reader, and the sentence for each that is not.

/// What a difference means, and so how it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    /// The reader reads all that the writer writes.
    Harmless,
    /// A keyword that restricts is new.
    NewRule,
    /// A lower limit rose.
    Raised,
    /// An upper limit fell.
    Lowered,
    /// A value is another.
    Altered,
    /// A type is another.
    OtherType,
    /// There is less to choose from.
    Fewer,
    /// There is more to satisfy.
    More,
    /// Something is named that anybody could have used before.
    NamedInOpen,
    /// Something that was not known must be there.
    Demanded,
    /// Something is no longer allowed.
    Forbidden,
    /// Something falls under a rule that is too narrow for it.
    LostToRule,
    /// Something is named that a rule allowed more for.
    NamedAgainstRule,
    /// There was too much to compare.
    GivenUp,
}

/// Declares [`Change`] with the names the reference gives its members.
macro_rules! changes {
    ($($sense:ident: $($variant:ident = $name:literal),+;)+) => {
        /// A kind of difference between two schemas; the names are the reference's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum Change {
            $($($variant,)+)+
        }

        impl Change {
            /// The name used in messages.
            pub fn name(self) -> &'static str {
                match self {
                    $($(Change::$variant => $name,)+)+
                }
            }

            fn sense(self) -> Sense {
                match self {
                    $($(Change::$variant => Sense::$sense,)+)+
                }
            }
        }
    };
}

changes! {
    Harmless:
        IdChanged = "ID_CHANGED",
        DescriptionChanged = "DESCRIPTION_CHANGED",
        TitleChanged = "TITLE_CHANGED",
        DefaultChanged = "DEFAULT_CHANGED",
        SchemaRemoved = "SCHEMA_REMOVED",
        TypeExtended = "TYPE_EXTENDED",
        MaxLengthIncreased = "MAX_LENGTH_INCREASED",
        MaxLengthRemoved = "MAX_LENGTH_REMOVED",
        MinLengthDecreased = "MIN_LENGTH_DECREASED",
        MinLengthRemoved = "MIN_LENGTH_REMOVED",
        PatternRemoved = "PATTERN_REMOVED",
        MaximumIncreased = "MAXIMUM_INCREASED",
        MaximumRemoved = "MAXIMUM_REMOVED",
        MinimumDecreased = "MINIMUM_DECREASED",
        MinimumRemoved = "MINIMUM_REMOVED",
        ExclusiveMaximumIncreased = "EXCLUSIVE_MAXIMUM_INCREASED",
        ExclusiveMaximumRemoved = "EXCLUSIVE_MAXIMUM_REMOVED",
        ExclusiveMinimumDecreased = "EXCLUSIVE_MINIMUM_DECREASED",
        ExclusiveMinimumRemoved = "EXCLUSIVE_MINIMUM_REMOVED",
        MultipleOfReduced = "MULTIPLE_OF_REDUCED",
        MultipleOfRemoved = "MULTIPLE_OF_REMOVED",
        RequiredAttributeWithDefaultAdded = "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED",
        RequiredAttributeRemoved = "REQUIRED_ATTRIBUTE_REMOVED",
        DependencyArrayNarrowed = "DEPENDENCY_ARRAY_NARROWED",
        DependencyArrayRemoved = "DEPENDENCY_ARRAY_REMOVED",
        DependencySchemaRemoved = "DEPENDENCY_SCHEMA_REMOVED",
        MaxPropertiesIncreased = "MAX_PROPERTIES_INCREASED",
        MaxPropertiesRemoved = "MAX_PROPERTIES_REMOVED",
        MinPropertiesDecreased = "MIN_PROPERTIES_DECREASED",
        MinPropertiesRemoved = "MIN_PROPERTIES_REMOVED",
        AdditionalPropertiesAdded = "ADDITIONAL_PROPERTIES_ADDED",
        AdditionalPropertiesExtended = "ADDITIONAL_PROPERTIES_EXTENDED",
        UnevaluatedPropertiesAdded = "UNEVALUATED_PROPERTIES_ADDED",
        UnevaluatedPropertiesExtended = "UNEVALUATED_PROPERTIES_EXTENDED",
        PropertyWithEmptySchemaAddedToOpen = "PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
        RequiredPropertyWithDefaultAddedToUnopen = "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL",
        OptionalPropertyAddedToUnopen = "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
        PropertyWithFalseRemovedFromClosed = "PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
        PropertyRemovedFromOpen = "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL",
        PropertyAddedIsCovered = "PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        PropertyRemovedIsCovered = "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        MaxItemsIncreased = "MAX_ITEMS_INCREASED",
        MaxItemsRemoved = "MAX_ITEMS_REMOVED",
        MinItemsDecreased = "MIN_ITEMS_DECREASED",
        MinItemsRemoved = "MIN_ITEMS_REMOVED",
        MaxContainsIncreased = "MAX_CONTAINS_INCREASED",
        MaxContainsRemoved = "MAX_CONTAINS_REMOVED",
        MinContainsDecreased = "MIN_CONTAINS_DECREASED",
        MinContainsRemoved = "MIN_CONTAINS_REMOVED",
        UniqueItemsRemoved = "UNIQUE_ITEMS_REMOVED",
        AdditionalItemsAdded = "ADDITIONAL_ITEMS_ADDED",
        AdditionalItemsExtended = "ADDITIONAL_ITEMS_EXTENDED",
        UnevaluatedItemsAdded = "UNEVALUATED_ITEMS_ADDED",
        UnevaluatedItemsExtended = "UNEVALUATED_ITEMS_EXTENDED",
        ItemWithEmptySchemaAddedToOpen = "ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
        ItemAddedToClosed = "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL",
        ItemWithFalseRemovedFromClosed = "ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
        ItemRemovedFromOpen = "ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL",
        ItemAddedIsCovered = "ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        ItemRemovedIsCovered = "ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        EnumArrayExtended = "ENUM_ARRAY_EXTENDED",
        CombinedTypeExtended = "COMBINED_TYPE_EXTENDED",
        ProductTypeNarrowed = "PRODUCT_TYPE_NARROWED",
        SumTypeExtended = "SUM_TYPE_EXTENDED",
        NotTypeNarrowed = "NOT_TYPE_NARROWED";
    NewRule:
        SchemaAdded = "SCHEMA_ADDED",
        MaxLengthAdded = "MAX_LENGTH_ADDED",
        MinLengthAdded = "MIN_LENGTH_ADDED",
        PatternAdded = "PATTERN_ADDED",
        MaximumAdded = "MAXIMUM_ADDED",
        MinimumAdded = "MINIMUM_ADDED",
        ExclusiveMaximumAdded = "EXCLUSIVE_MAXIMUM_ADDED",
        ExclusiveMinimumAdded = "EXCLUSIVE_MINIMUM_ADDED",
        MultipleOfAdded = "MULTIPLE_OF_ADDED",
        RequiredAttributeAdded = "REQUIRED_ATTRIBUTE_ADDED",
        MaxPropertiesAdded = "MAX_PROPERTIES_ADDED",
        MinPropertiesAdded = "MIN_PROPERTIES_ADDED",
        DependencyArrayAdded = "DEPENDENCY_ARRAY_ADDED",
        DependencySchemaAdded = "DEPENDENCY_SCHEMA_ADDED",
        AdditionalPropertiesRemoved = "ADDITIONAL_PROPERTIES_REMOVED",
        UnevaluatedPropertiesRemoved = "UNEVALUATED_PROPERTIES_REMOVED",
        MaxItemsAdded = "MAX_ITEMS_ADDED",
        MinItemsAdded = "MIN_ITEMS_ADDED",
        MaxContainsAdded = "MAX_CONTAINS_ADDED",
        MinContainsAdded = "MIN_CONTAINS_ADDED",
        UniqueItemsAdded = "UNIQUE_ITEMS_ADDED",
        AdditionalItemsRemoved = "ADDITIONAL_ITEMS_REMOVED",
        UnevaluatedItemsRemoved = "UNEVALUATED_ITEMS_REMOVED";
    Raised:
        MinLengthIncreased = "MIN_LENGTH_INCREASED",
        MinimumIncreased = "MINIMUM_INCREASED",
        ExclusiveMinimumIncreased = "EXCLUSIVE_MINIMUM_INCREASED",
        MultipleOfExpanded = "MULTIPLE_OF_EXPANDED",
        MinPropertiesIncreased = "MIN_PROPERTIES_INCREASED",
        MinItemsIncreased = "MIN_ITEMS_INCREASED",
        MinContainsIncreased = "MIN_CONTAINS_INCREASED";
    Lowered:
        MaxLengthDecreased = "MAX_LENGTH_DECREASED",
        MaximumDecreased = "MAXIMUM_DECREASED",
        ExclusiveMaximumDecreased = "EXCLUSIVE_MAXIMUM_DECREASED",
        MaxPropertiesDecreased = "MAX_PROPERTIES_DECREASED",
        MaxItemsDecreased = "MAX_ITEMS_DECREASED",
        MaxContainsDecreased = "MAX_CONTAINS_DECREASED";
    Altered:
        PatternChanged = "PATTERN_CHANGED",
        MultipleOfChanged = "MULTIPLE_OF_CHANGED",
        DependencyArrayChanged = "DEPENDENCY_ARRAY_CHANGED";
    OtherType:
        TypeChanged = "TYPE_CHANGED",
        TypeNarrowed = "TYPE_NARROWED",
        CombinedTypeChanged = "COMBINED_TYPE_CHANGED",
        CombinedTypeSubschemasChanged = "COMBINED_TYPE_SUBSCHEMAS_CHANGED",
        EnumArrayChanged = "ENUM_ARRAY_CHANGED";
    Fewer:
        AdditionalPropertiesNarrowed = "ADDITIONAL_PROPERTIES_NARROWED",
        UnevaluatedPropertiesNarrowed = "UNEVALUATED_PROPERTIES_NARROWED",
        AdditionalItemsNarrowed = "ADDITIONAL_ITEMS_NARROWED",
        UnevaluatedItemsNarrowed = "UNEVALUATED_ITEMS_NARROWED",
        EnumArrayNarrowed = "ENUM_ARRAY_NARROWED",
        SumTypeNarrowed = "SUM_TYPE_NARROWED";
    More:
        DependencyArrayExtended = "DEPENDENCY_ARRAY_EXTENDED",
        ProductTypeExtended = "PRODUCT_TYPE_EXTENDED",
        NotTypeExtended = "NOT_TYPE_EXTENDED";
    NamedInOpen:
        RequiredPropertyAddedToOpen = "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
        RequiredPropertyWithDefaultAddedToOpen = "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL",
        OptionalPropertyAddedToOpen = "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
        ItemAddedToOpen = "ITEM_ADDED_TO_OPEN_CONTENT_MODEL";
    Demanded:
        RequiredPropertyAddedToUnopen = "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL";
    Forbidden:
        PropertyRemovedFromClosed = "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL",
        ItemRemovedFromClosed = "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL";
    LostToRule:
        PropertyRemovedNotCovered = "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        ItemRemovedNotCovered = "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL";
    NamedAgainstRule:
        PropertyAddedNotCovered = "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
        ItemAddedNotCovered = "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL";
    GivenUp:
        ComparisonGivenUp = "COMPARISON_GIVEN_UP";
}

impl Change {
    /// Whether a reader still reads all that the writer writes.
    pub fn is_harmless(self) -> bool {
        self.sense() == Sense::Harmless
    }

    /// A sentence about the change at `path`, with the placeholders `{reader}` and `{writer}`.
    pub fn describe(self, path: &str) -> String {
        match self.sense() {
            Sense::Harmless => {
                format!("The {{reader}} schema still reads what the {{writer}} schema allows at path '{path}'")
            }
            Sense::NewRule => {
                format!("The {{reader}} schema has a rule at path '{path}' that the {{writer}} schema lacks")
            }
            Sense::Raised => {
                format!("The {{reader}} schema has a greater value at path '{path}' than the {{writer}} schema")
            }
            Sense::Lowered => {
                format!("The {{reader}} schema has a smaller value at path '{path}' than the {{writer}} schema")
            }
            Sense::Altered => {
                format!("The {{reader}} schema and the {{writer}} schema have different values at path '{path}'")
            }
            Sense::OtherType => {
                format!("The {{reader}} schema and the {{writer}} schema have different types at path '{path}'")
            }
            Sense::Fewer => {
                format!("The {{reader}} schema leaves less to choose from at path '{path}' than the {{writer}} schema")
            }
            Sense::More => format!("The {{reader}} schema asks for more at path '{path}' than the {{writer}} schema"),
            Sense::NamedInOpen => format!(
                "The {{reader}} schema names a property or item at path '{path}' which the open content model of the \
                 {{writer}} schema leaves free"
            ),
            Sense::Demanded => format!(
                "The {{reader}} schema requires a property at path '{path}' which the {{writer}} schema does not have"
            ),
            Sense::Forbidden => format!(
                "The {{reader}} schema has a closed content model without the property or item at path '{path}' of the \
                 {{writer}} schema"
            ),
            Sense::LostToRule => format!(
                "The {{reader}} schema lacks the property or item at path '{path}' of the {{writer}} schema, and its \
                 partially open content model does not cover it"
            ),
            Sense::NamedAgainstRule => format!(
                "The {{reader}} schema names a property or item at path '{path}' which does not cover what the partially \
                 open content model of the {{writer}} schema allows"
            ),
            Sense::GivenUp => format!(
                "The {{reader}} schema and the {{writer}} schema are too large or too entangled to be compared; given up \
                 at path '{path}'"
            ),
        }
    }
}
