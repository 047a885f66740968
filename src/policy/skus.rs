//! Names of Microsoft's products, so that a misspelt one is found before anything runs. Data and look-up only.
//!
//! The tenant's own `subscribedSkus` decides what a product contains; this table only makes messages better. It holds
//! the 108 products that carried one of the ten mailbox plans in July 2026 (Microsoft: "Product names and service plan
//! identifiers for licensing"; blanks at the ends removed) and well-known ones that carry none.

use crate::model::SkuId;

use super::fault::{Complaint, nearest};

/// A product that carries a mailbox.
struct Product {
    part_number: &'static str,
    id: SkuId,
    /// As Microsoft sells it.
    title: &'static str,
}

/// What a policy may call a product: refused with a reason, or fine.
///
/// A GUID is accepted: whether the tenant has it, and with a mailbox plan, is read from the tenant.
pub fn check(written: &str) -> Result<(), Complaint> {
    let name = written.trim();
    if name.parse::<SkuId>().is_ok() || find(name).is_some() {
        return Ok(());
    }
    if let Some((_, title)) = WITHOUT_MAILBOX.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Err(Complaint::new(
            format!("{name} ({title}) carries no mailbox"),
            "name a product with an Exchange Online mailbox plan, such as SPE_E3 or EXCHANGESTANDARD",
        ));
    }
    let known = MAILBOX.iter().map(|product| product.part_number);
    let hint = match nearest(name, known.chain(WITHOUT_MAILBOX.iter().map(|(known, _)| *known))) {
        Some(near) => format!("did you mean {near}? a product newer than this list can be named by its id"),
        None => {
            "write the part number, such as SPE_E3, or the id of a product newer than this list".to_owned()
        }
    };
    Err(Complaint::new(format!("no product is called `{name}`"), hint))
}

/// A product that names a mailbox plan and still is sold without the right to a mailbox.
pub fn doubt(written: &str) -> Option<Complaint> {
    let product = find(written)?;
    DOUBTFUL.contains(&product.part_number).then(|| {
        Complaint::new(
            format!(
                "{} ({}) lists a mailbox plan but is sold without a mailbox",
                product.part_number, product.title
            ),
            "prefer a product with mailbox rights, such as SPE_F1 (Microsoft 365 F3)",
        )
    })
}

/// The id of a product that carries a mailbox, by part number, letter case ignored.
pub fn id(part_number: &str) -> Option<SkuId> {
    find(part_number).map(|product| product.id)
}

fn find(name: &str) -> Option<&'static Product> {
    let name = name.trim();
    MAILBOX.iter().find(|product| product.part_number.eq_ignore_ascii_case(name))
}

const fn product(part_number: &'static str, id: u128, title: &'static str) -> Product {
    Product { part_number, id: SkuId::from_u128(id), title }
}

/// Microsoft 365 F1: a Kiosk plan stands in the product, the licence terms give no mailbox.
const DOUBTFUL: [&str; 2] = ["M365_F1_COMM", "Microsoft_365_F1_EEA_(no_Teams)"];

/// Well-known products without a mailbox plan: those that people take for one.
const WITHOUT_MAILBOX: &[(&str, &str)] = &[
    ("AAD_PREMIUM", "Microsoft Entra ID P1"),
    ("AAD_PREMIUM_P2", "Microsoft Entra ID P2"),
    ("ATP_ENTERPRISE", "Microsoft Defender for Office 365 Plan 1"),
    ("EMS", "Enterprise Mobility + Security E3"),
    ("EMSPREMIUM", "Enterprise Mobility + Security E5"),
    ("EOP_ENTERPRISE", "Exchange Online Protection"),
    ("EXCHANGEARCHIVE", "Exchange Online Archiving for Exchange Server"),
    ("EXCHANGEARCHIVE_ADDON", "Exchange Online Archiving for Exchange Online"),
    ("FLOW_FREE", "Power Automate Free"),
    ("INTUNE_A", "Microsoft Intune Plan 1"),
    ("MCOEV", "Microsoft Teams Phone Standard"),
    ("MCOMEETADV", "Audio Conferencing"),
    ("MCOSTANDARD", "Skype for Business Online Plan 2"),
    ("Microsoft_365_Copilot", "Microsoft 365 Copilot"),
    ("Microsoft_Teams_Premium", "Microsoft Teams Premium"),
    ("O365_BUSINESS", "Microsoft 365 Apps for business"),
    ("OFFICESUBSCRIPTION", "Microsoft 365 Apps for enterprise"),
    ("PHONESYSTEM_VIRTUALUSER", "Microsoft Teams Phone Resource Account"),
    ("POWERAPPS_VIRAL", "Power Apps Plan 2 Trial"),
    ("POWER_BI_PRO", "Power BI Pro"),
    ("POWER_BI_STANDARD", "Microsoft Fabric (Free)"),
    ("PROJECTPREMIUM", "Planner and Project Plan 5"),
    ("PROJECTPROFESSIONAL", "Planner and Project Plan 3"),
    ("RIGHTSMANAGEMENT", "Azure Information Protection Plan 1"),
    ("SHAREPOINTENTERPRISE", "SharePoint Online Plan 2"),
    ("SHAREPOINTSTANDARD", "SharePoint Online Plan 1"),
    ("STREAM", "Microsoft Stream"),
    ("VISIOCLIENT", "Visio Plan 2"),
    ("WINDOWS_STORE", "Windows Store for Business"),
    ("WIN_DEF_ATP", "Microsoft Defender for Endpoint"),
];

/// Every product that carries one of the ten mailbox plans, by part number.
#[rustfmt::skip]
static MAILBOX: &[Product] = &[
    product("DESKLESSPACK", 0x4b58_5984_651b_448a_9e53_3b10_f069_cf7f, "Office 365 F3"),
    product("DESKLESSPACK_USGOV_GCCHIGH", 0x7403_9b88_bd62_4b5c_9d9c_7a92_bbc0_bfdf, "Office 365 F3_USGOV_GCCHIGH"),
    product("DEVELOPERPACK", 0x189a_915c_fe4f_4ffa_bde4_85b9_628d_07a0, "Office 365 E3 Developer"),
    product("DEVELOPERPACK_E5", 0xc42b_9cae_ea4f_4ab7_9717_8157_6235_ccac, "Microsoft 365 E5 Developer (without Windows and Audio Conferencing)"),
    product("ENTERPRISEPACK", 0x6fd2_c87f_b296_42f0_b197_1e91_e994_b900, "Office 365 E3"),
    product("ENTERPRISEPACK_GOV", 0x535a_3a29_c5f0_42fe_8215_d3b9_e1f3_8c4a, "Office 365 G3 GCC"),
    product("ENTERPRISEPACK_USGOV_DOD", 0xb107_e5a3_3e60_4c0d_a184_a7e4_395e_b44c, "Office 365 E3_USGOV_DOD"),
    product("ENTERPRISEPACK_USGOV_GCCHIGH", 0xaea3_8a85_9bd5_4981_aa00_616b_4112_05bf, "Office 365 E3_USGOV_GCCHIGH"),
    product("ENTERPRISEPACKPLUS_FACULTY", 0xe578_b273_6db4_4691_bba0_8d69_1f4d_a603, "Office 365 A3 for faculty"),
    product("ENTERPRISEPACKPLUS_STUDENT", 0x98b6_e773_24d4_4c0d_a968_6e78_7a1f_8204, "Office 365 A3 for students"),
    product("ENTERPRISEPACKWITHOUTPROPLUS_GOV", 0x24ae_bea8_7fac_48d0_8750_de4e_e1fd_e205, "Office 365 G3 without Microsoft 365 Apps GCC"),
    product("ENTERPRISEPREMIUM", 0xc7df_2760_2c81_4ef7_b578_5b53_92b5_71df, "Office 365 E5"),
    product("ENTERPRISEPREMIUM_FACULTY", 0xa458_5165_0533_458a_97e3_c400_5702_68c4, "Office 365 A5 for faculty"),
    product("ENTERPRISEPREMIUM_GOV", 0x8900_a2c0_edba_4079_bdf3_b276_e293_b6a8, "Office 365 G5 GCC"),
    product("ENTERPRISEPREMIUM_NOPBIPBX_GOV", 0x2f10_5cc2_c2c1_435b_a955_c5e8_2156_c05d, "Office 365 GCC G5 without Power BI and Phone System"),
    product("ENTERPRISEPREMIUM_NOPSTNCONF", 0x26d4_5bd9_adf1_46cd_a9e1_51e9_a552_4128, "Office 365 E5 Without Audio Conferencing"),
    product("ENTERPRISEPREMIUM_NOPSTNCONF_NOPBI_GOV", 0x1341_559b_49df_443c_8e79_fa60_4fed_2d82, "Office 365 GCC G5 without Audio Conferencing"),
    product("ENTERPRISEPREMIUM_STUDENT", 0xee65_6612_49fa_43e5_b67e_cb1f_df76_99df, "Office 365 A5 for students"),
    product("ENTERPRISEWITHSCAL", 0x1392_051d_0cb9_4b7a_88d5_621f_ee5e_8711, "Office 365 E4"),
    product("EXCHANGE_S_ESSENTIALS", 0xe8f8_1a67_bd96_4074_b108_cf19_3eb9_433b, "Exchange Online Essentials"),
    product("EXCHANGEDESKLESS", 0x80b2_d799_d2ba_4d2a_8842_fb0d_0f3a_4b82, "Exchange Online Kiosk"),
    product("EXCHANGEENTERPRISE", 0x19ec_0d23_8335_4cbd_94ac_6050_e307_12fa, "Exchange Online (Plan 2)"),
    product("EXCHANGEENTERPRISE_FACULTY", 0x0b7b_15a8_7fd2_4964_bb96_5a56_6d4e_3c15, "Exchange Online (Plan 2) for Faculty"),
    product("EXCHANGEENTERPRISE_GOV", 0x7be8_dc28_4da4_4e6d_b9b9_c60f_2806_df8a, "Exchange Online (Plan 2) for GCC"),
    product("EXCHANGEESSENTIALS", 0x7fc0_182e_d107_4556_8329_7caa_a511_197b, "Exchange Online Essentials (ExO P1 Based)"),
    product("EXCHANGESTANDARD", 0x4b94_05b0_7788_4568_add1_9961_4e61_3b69, "Exchange Online (Plan 1)"),
    product("EXCHANGESTANDARD_ALUMNI", 0xaa0f_9eb7_eff2_4943_8424_226f_b137_fcad, "Exchange Online (Plan 1) for Alumni with Yammer"),
    product("EXCHANGESTANDARD_GOV", 0xf37d_5ebf_4bf1_4aa2_8fa3_50c5_1059_e983, "Exchange Online (Plan 1) for GCC"),
    product("EXCHANGESTANDARD_STUDENT", 0xad2f_e44a_915d_4e2b_ade1_6766_d50a_9d9c, "Exchange Online (Plan 1) for Students"),
    product("EXCHANGETELCO", 0xcb0a_98a8_11bc_494c_83d9_c1b1_ac65_327e, "Exchange Online POP"),
    product("LITEPACK", 0xbd09_678e_b83c_4d3f_aaba_3dad_4abd_128b, "Office 365 Small Business"),
    product("LITEPACK_P2", 0xfc14_ec4a_4169_49a4_a51e_2c85_2931_814b, "Office 365 Small Business Premium"),
    product("M365_F1_COMM", 0x50f6_0901_3181_4b75_8a2c_4c8e_4c1d_5a72, "Microsoft 365 F1"),
    product("M365_F1_GOV", 0x2a91_4830_d700_444a_b73c_e3f3_1980_d833, "Microsoft 365 F3 GCC"),
    product("M365_G3_GOV", 0xe823_ca47_49c4_46b3_b38d_ca11_d5ab_e3d2, "Microsoft 365 G3 GCC"),
    product("M365_G3_RPA1_GOV", 0x5c73_9a73_651d_4c2c_8a4e_fe4b_a122_53b0, "Microsoft 365 G3 - Unattended License for GCC"),
    product("M365_G5_GCC", 0xe2be_619b_b125_455f_8660_fb50_3e43_1a5d, "Microsoft 365 GCC G5"),
    product("M365_G5_GOV", 0xb0f8_09d5_a662_4391_a5aa_136e_9c56_5b9d, "Microsoft 365 GCC G5 w/o WDATP/CAS Unified"),
    product("M365EDU_A3_FACULTY", 0x4b59_0615_0888_425a_a965_b3bf_7789_848d, "Microsoft 365 A3 for Faculty"),
    product("M365EDU_A3_STUDENT", 0x7cfd_9a2b_e110_4c39_bf20_c6a3_f36a_3121, "Microsoft 365 A3 for Students"),
    product("M365EDU_A3_STUUSEBNFT", 0x1825_0162_5d87_4436_a834_d795_c15c_80f3, "Microsoft 365 A3 for students use benefit"),
    product("M365EDU_A3_STUUSEBNFT_RPA1", 0x1aa9_4593_ca12_4254_a738_81a5_9729_58e8, "Microsoft 365 A3 - Unattended License for students use benefit"),
    product("M365EDU_A5_FACULTY", 0xe97c_048c_37a4_45fb_ab50_922f_bf07_a370, "Microsoft 365 A5 for faculty"),
    product("M365EDU_A5_NOPSTNCONF_STUUSEBNFT", 0x8144_1ae1_0b31_4185_a6c0_32b6_b84d_419f, "Microsoft 365 A5 without Audio Conferencing for students use benefit"),
    product("M365EDU_A5_STUDENT", 0x46c1_19d4_0379_4a9d_85e4_97c6_6d3f_909e, "Microsoft 365 A5 for Students"),
    product("M365EDU_A5_STUUSEBNFT", 0x31d5_7bc7_3a05_4867_ab53_97a1_7835_a411, "Microsoft 365 A5 for students use benefit"),
    product("MCOCAP", 0x295a_8eb0_f78d_45c7_8b5b_1eed_5ed0_2dff, "Microsoft Teams Shared Devices"),
    product("MCOCAP_FACULTY", 0x420c_7602_7f70_4895_9394_d3d6_79ea_36fb, "Microsoft Teams Shared Devices for Faculty"),
    product("MCOCAP_GOV", 0xb151_1558_69bd_4e1b_8270_59ca_96db_a0f3, "Microsoft Teams Shared Devices for GCC"),
    product("Microsoft_365_ Business_ Premium_(no Teams)", 0x00e1_ec7b_e4a3_40d1_9441_b69b_597a_b222, "Microsoft 365 Business Premium (no Teams)"),
    product("Microsoft_365_Business_Basic_(no Teams)", 0x2150_2a13_c8dc_4744_be9c_177f_d9d2_eafc, "Microsoft 365 Business Basic (no Teams)"),
    product("Microsoft_365_Business_Basic_EEA_(no_Teams)", 0xb1f3_042b_a390_4b56_ab61_b88e_7e76_7a97, "Microsoft 365 Business Basic EEA (no Teams)"),
    product("Microsoft_365_Business_Premium_Donation_(Non_Profit_Pricing)", 0x24c3_5284_d768_4e53_84d9_b7ae_73dd_df69, "Microsoft 365 Business Premium Donation"),
    product("Microsoft_365_Business_Standard_EEA_(no_Teams)", 0xffa3_a2a0_3820_462a_aa81_8a4d_741f_0cba, "Microsoft 365 Business Standard EEA (no Teams)"),
    product("MICROSOFT_365_BUSINESS_STANDARD_NO_TEAMS", 0x5a1c_7b8d_0739_4ca8_bf69_ec87_e691_33ac, "Microsoft 365 Business Standard (no Teams)"),
    product("Microsoft_365_E3", 0x0c21_030a_7e60_4ec7_9a0f_0042_e0e0_211a, "Microsoft 365 E3 (500 seats min)_HUB"),
    product("Microsoft_365_E3_(no_Teams)", 0xdcf0_408c_aaec_446c_afd4_43e3_6839_43ea, "Microsoft 365 E3 (no Teams)"),
    product("Microsoft_365_E3_EEA_(no_Teams)_Unattended_License", 0xa23d_bafb_3396_48b3_ad9c_a304_fe20_6043, "Microsoft 365 E3 EEA (no Teams) - Unattended License"),
    product("Microsoft_365_E5", 0xdb68_4ac5_c0e7_4f92_8284_ef9e_bde7_5d33, "Microsoft 365 E5 (500 seats min)_HUB"),
    product("Microsoft_365_E5_(no_Teams)", 0x18a4_bd3f_0b5b_4887_b04f_61dd_0ee1_5f5e, "Microsoft 365 E5 (no Teams)"),
    product("Microsoft_365_E5_EEA_(no_Teams)_with_Calling_Minutes", 0x6ee4_114a_9b2d_4577_9e7a_49fa_43d2_22d3, "Microsoft 365 E5 EEA (no Teams) with Calling Minutes"),
    product("Microsoft_365_E5_EEA_(no_Teams)_without_Audio_Conferencing", 0x9027_7bc7_a6fe_4181_99d8_712b_08b8_d32b, "Microsoft 365 E5 EEA (no Teams) without Audio Conferencing"),
    product("Microsoft_365_E5_EEA_(no_Teams)_without_Audio_Conferencing_(500_seats_min)_HUB", 0xa640_eead_25f6_4bec_97e3_23cf_d382_d7c2, "Microsoft 365 E5 EEA (no Teams) without Audio Conferencing (500 seats min)_HUB"),
    product("Microsoft_365_E5_without_Audio_Conferencing", 0x2113_661c_6509_4034_98bb_9c47_bd28_d63c, "Microsoft 365 E5 without Audio Conferencing (500 seats min)_HUB"),
    product("MICROSOFT_365_E7", 0x9a18_296a_025f_4e37_9ffa_30bf_8d1c_e775, "Microsoft 365 E7"),
    product("Microsoft_365_F1_EEA_(no_Teams)", 0x0666_269f_b167_4c5b_a76f_fc57_4f2b_1118, "Microsoft 365 F1 EEA (no Teams)"),
    product("Microsoft_365_F3_EEA_(no_Teams)", 0xf7ee_79a7_7aec_4ca4_9fb9_34d6_b930_ad87, "Microsoft 365 F3 EEA (no Teams)"),
    product("Microsoft_Teams_EEA_New", 0x7e74_bd05_2c47_404e_829a_ba95_c66f_e8e5, "Microsoft Teams EEA"),
    product("Microsoft_Teams_Enterprise_New", 0x7e31_c0d9_9551_471d_836f_32ee_72be_4a01, "Microsoft Teams Enterprise"),
    product("Microsoft_Teams_Exploratory_Dept", 0xe0df_c8b9_9531_4ec8_94b4_9fec_23b0_5fc8, "Microsoft Teams Exploratory Dept"),
    product("MIDSIZEPACK", 0x04a7_fb0d_32e0_4241_b4f5_3f76_18cd_1162, "Office 365 Midsize Business"),
    product("O365_BUSINESS_ESSENTIALS", 0x3b55_5118_da6a_4418_894f_7df1_e209_6870, "Microsoft 365 Business Basic"),
    product("O365_BUSINESS_PREMIUM", 0xf245_ecc8_75af_4f8e_b61f_27d8_114d_e5f3, "Microsoft 365 Business Standard"),
    product("O365_w/o_Teams_Bundle_E3", 0xd711_d25a_a21c_492f_bd19_aae1_e8eb_af30, "Office 365 E3 EEA (no Teams)"),
    product("O365_w/o_Teams_Bundle_M5", 0x3271_cf8e_2be5_4a09_a549_70fd_05ba_aa17, "Microsoft 365 E5 EEA (no Teams)"),
    product("O365_w/o_Teams_Bundle_M5_(500_seats_min)_HUB", 0x1e98_8bf3_8b7c_4731_bec0_4e2a_2946_600c, "Microsoft 365 E5 EEA (no Teams) (500 seats min)_HUB"),
    product("O365_w/o Teams Bundle_M3", 0xc2fe_850d_fbbb_4858_b67d_bd0c_6e74_6da3, "Microsoft 365 E3 EEA (no Teams)"),
    product("Office_365_E1_(no_Teams)", 0xf8ce_d641_8e17_4dc5_b014_f5a2_d53f_6ac8, "Office 365 E1 (no Teams)"),
    product("Office_365_E3_(no_Teams)", 0x46c3_a859_c90d_40b3_9551_6178_a48d_5c18, "Office 365 E3 (no Teams)"),
    product("Office_365_E5_EEA_(no_Teams)_without_Audio_Conferencing", 0x7177_2aeb_4bb8_4f74_9dd4_36c7_a9b5_ca74, "Office 365 E5 EEA (no Teams) without Audio Conferencing"),
    product("Office_365_F3_EEA_(no_Teams)", 0xd1f0_495b_cb7b_4e11_8b85_daee_7e7e_5664, "Office 365 F3 EEA (no Teams)"),
    product("Office_365_w/o_Teams_Bundle_Business_Premium", 0xa3f5_86b6_8cce_4d9b_99d6_5523_8397_f77a, "Microsoft 365 Business Premium EEA (no Teams)"),
    product("Office_365_w/o_Teams_Bundle_Business_Standard", 0xc1f7_9c29_5d7a_4bec_a2c1_1a76_7748_64c0, "Microsoft 365 Business Standard EEA (no Teams)"),
    product("Office_365_w/o_Teams_Bundle_E1", 0xb572_82e3_65bd_4252_9502_c0ea_e1e5_ab7f, "Office 365 E1 EEA (no Teams)"),
    product("Office_365_w/o_Teams_Bundle_E5", 0xcf50_bae9_29e8_4775_b07c_56ee_10e3_776d, "Office 365 E5 EEA (no Teams)"),
    product("OFFICEBASIC", 0x4468_c39a_28b2_42fb_9094_840b_cf28_771f, "Basic Collaboration"),
    product("SMB_BUSINESS_ESSENTIALS", 0xdab7_782a_93b1_4074_8bb1_0e61_318b_ea0b, "Microsoft 365 Business Basic"),
    product("SMB_BUSINESS_PREMIUM", 0xac5c_ef5d_921b_4f97_9ef3_c990_76e5_470f, "Microsoft 365 Business Standard - Prepaid Legacy"),
    product("SPB", 0xcbdc_14ab_d96c_4c30_b9f4_6ada_7cdc_1d46, "Microsoft 365 Business Premium"),
    product("SPE_E3", 0x05e9_a617_0261_4cee_bb44_138d_3ef5_d965, "Microsoft 365 E3"),
    product("SPE_E3_RPA1", 0xc2ac_2ee4_9bb1_47e4_8541_d689_c7e8_3371, "Microsoft 365 E3 - Unattended License"),
    product("SPE_E3_USGOV_DOD", 0xd61d_61cc_f992_433f_a577_5bd0_1603_7eeb, "Microsoft 365 E3_USGOV_DOD"),
    product("SPE_E3_USGOV_GCCHIGH", 0xca9d_1dd9_dfe9_4fef_b97c_9bc1_ea3c_3658, "Microsoft 365 E3_USGOV_GCCHIGH"),
    product("SPE_E5", 0x06eb_c4ee_1bb5_47dd_8120_1132_4bc5_4e06, "Microsoft 365 E5"),
    product("SPE_E5_CALLINGMINUTES", 0xa91f_c4e0_65e5_4266_aa76_4037_509c_1626, "Microsoft 365 E5 with Calling Minutes"),
    product("SPE_E5_NOPSTNCONF", 0xcd29_25a3_5076_4233_8931_638a_8c94_f773, "Microsoft 365 E5 without Audio Conferencing"),
    product("SPE_E5_USGOV_GCCHIGH", 0x4eb4_5c5b_0d19_4e33_b87c_adfc_2526_8f20, "Microsoft 365 E5_USGOV_GCCHIGH"),
    product("SPE_F1", 0x66b5_5226_6b4f_492c_910c_a3b7_a3c9_d993, "Microsoft 365 F3"),
    product("STANDARDPACK", 0x1818_1a46_0d4e_45cd_891e_60aa_bd17_1b4e, "Office 365 E1"),
    product("STANDARDPACK_GOV", 0x3f4b_abde_90ec_47c6_995d_d223_7490_65d1, "Office 365 G1 GCC"),
    product("STANDARDPACK_USGOV_GCCHIGH", 0xf698_ca06_024f_4562_b029_9cb1_f1e0_2646, "Office 365 E1_USGOV_GCCHIGH"),
    product("STANDARDWOFFPACK", 0x6634_e0ce_1a9f_428c_a498_f84e_c7b8_aa2e, "Office 365 E2"),
    product("STANDARDWOFFPACK_FACULTY", 0x9476_3226_9b3c_4e75_a931_5c89_701a_be66, "Office 365 A1 for faculty"),
    product("STANDARDWOFFPACK_IW_FACULTY", 0x78e6_6a63_337a_4a9a_8959_41c6_654d_fb56, "Office 365 A1 Plus for faculty"),
    product("STANDARDWOFFPACK_IW_STUDENT", 0xe82a_e690_a2d5_4d76_8d30_7c6e_01e6_022e, "Office 365 A1 Plus for students"),
    product("STANDARDWOFFPACK_STUDENT", 0x314c_4481_f395_4525_be8b_2ec4_bb1e_9d91, "Office 365 A1 for students"),
    product("TEAMS_ESSENTIALS_AAD", 0x3ab6_abff_666f_4424_bfb7_f0bc_274e_c7bc, "Microsoft Teams Essentials (AAD Identity)"),
    product("TEAMS_EXPLORATORY", 0x7107_79e8_3d4a_4c88_adb9_386c_958d_1fdf, "Microsoft Teams Exploratory"),
];
