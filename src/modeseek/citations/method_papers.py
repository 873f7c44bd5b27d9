"""Papers of the methods, keyed by method name."""

from __future__ import annotations

from modeseek.citations.general_papers import Source, arxiv

METHOD_PAPERS: tuple[Source, ...] = (
    arxiv(
        "msd",
        "Thamizharasan, Vikas and Chatzis, Nikitas and Georgiev, Iliyan and Fisher, Matthew and Kalogerakis, Evangelos "
        "and Liu, Difan and Zhao, Nanxuan and Lukac, Michal",
        "Mean-Shift Distillation for Diffusion Mode Seeking",
        2025,
        "2502.15989",
    ),
    arxiv(
        "sds",
        "Poole, Ben and Jain, Ajay and Barron, Jonathan T. and Mildenhall, Ben",
        "DreamFusion: Text-to-3D using 2D Diffusion",
        2022,
        "2209.14988",
    ),
    arxiv(
        "sdi",
        "Lukoianov, Artem and others",
        "Score Distillation via Reparametrized DDIM",
        2024,
        "2405.15891",
    ),
    arxiv(
        "sjc",
        "Wang, Haochen and Du, Xiaodan and Li, Jiahao and Yeh, Raymond A. and Shakhnarovich, Greg",
        "Score Jacobian Chaining: Lifting Pretrained 2D Diffusion Models for 3D Generation",
        2022,
        "2212.00774",
    ),
    arxiv(
        "hifa",
        "Zhu, Junzhe and Zhuang, Peiye and Koyejo, Sanmi",
        "HiFA: High-fidelity Text-to-3D Generation with Advanced Diffusion Guidance",
        2023,
        "2305.18766",
    ),
    arxiv(
        "dreamtime",
        "Huang, Yukun and Wang, Jianan and Shi, Yukai and Tang, Boshi and Qi, Xianbiao and Zhang, Lei",
        "DreamTime: An Improved Optimization Strategy for Diffusion-Guided 3D Generation",
        2023,
        "2306.12422",
    ),
    arxiv(
        "debiased",
        "Hong, Susung and Ahn, Donghoon and Kim, Seungryong",
        "Debiasing Scores and Prompts of 2D Diffusion for View-consistent Text-to-3D Generation",
        2023,
        "2303.15413",
    ),
    arxiv(
        "async-sd",
        "Ma, Zhiyuan and others",
        "ScaleDreamer: Scalable Text-to-3D Synthesis with Asynchronous Score Distillation",
        2024,
        "2407.02040",
    ),
    arxiv(
        "csd",
        "Yu, Xin and Guo, Yuan-Chen and Li, Yangguang and Liang, Ding and Zhang, Song-Hai and Qi, Xiaojuan",
        "Text-to-3D with Classifier Score Distillation",
        2023,
        "2310.19415",
    ),
    arxiv(
        "nfsd",
        "Katzir, Oren and Patashnik, Or and Cohen-Or, Daniel and Lischinski, Dani",
        "Noise-Free Score Distillation",
        2023,
        "2310.17590",
    ),
    arxiv(
        "sds-bridge",
        "McAllister, David and others",
        "Rethinking Score Distillation as a Bridge Between Image Distributions",
        2024,
        "2406.09417",
    ),
    arxiv(
        "ism",
        "Liang, Yixun and Yang, Xin and Lin, Jiantao and Li, Haodong and Xu, Xiaogang and Chen, Yingcong",
        "LucidDreamer: Towards High-Fidelity Text-to-3D Generation via Interval Score Matching",
        2023,
        "2311.11284",
    ),
    arxiv(
        "rfds", "Yang, Xiaofeng and others", "Text-to-Image Rectified Flow as Plug-and-Play Priors", 2024, "2406.03293"
    ),
    arxiv(
        "ucm",
        "Li, Hangyu and others",
        "FlowDreamer: Exploring High Fidelity Text-to-3D Generation via Rectified Flow",
        2024,
        "2408.05008",
    ),
    arxiv(
        "vsd",
        "Wang, Zhengyi and Lu, Cheng and Wang, Yikai and Bao, Fan and Li, Chongxuan and Su, Hang and Zhu, Jun",
        "ProlificDreamer: High-Fidelity and Diverse Text-to-3D Generation with Variational Score Distillation",
        2023,
        "2305.16213",
    ),
    arxiv(
        "esd",
        "Wang, Peihao and others",
        "Taming Mode Collapse in Score Distillation for Text-to-3D Generation",
        2024,
        "2401.00909",
    ),
    arxiv(
        "asd",
        "Wei, Min and Zhou, Jingkai and Sun, Junyao and Zhang, Xuesong",
        "Adversarial Score Distillation: When score distillation meets GAN",
        2023,
        "2312.00739",
    ),
    arxiv(
        "dsd",
        "Xu, Yanbo and Srinivasa, Jayanth and Liu, Gaowen and Tulsiani, Shubham",
        "Diverse Score Distillation",
        2024,
        "2412.06780",
    ),
    arxiv(
        "rsd",
        "Zilberstein, Nicolas and Mardani, Morteza and Segarra, Santiago",
        "Repulsive Latent Score Distillation for Solving Inverse Problems",
        2024,
        "2406.16683",
    ),
    arxiv(
        "fsd",
        "Yan, Runjie and Wu, Kailu and Ma, Kaisheng",
        "Flow Score Distillation for Diverse Text-to-3D Generation",
        2024,
        "2405.10988",
    ),
    arxiv(
        "cfd",
        "Yan, Runjie and Chen, Yinbo and Wang, Xiaolong",
        "Consistent Flow Distillation for Text-to-3D Generation",
        2025,
        "2501.05445",
    ),
    arxiv(
        "stein",
        "Wang, Peihao and others",
        "SteinDreamer: Variance Reduction for Text-to-3D Score Distillation via Stein Identity",
        2024,
        "2401.00604",
    ),
    arxiv(
        "mvdream",
        "Shi, Yichun and Wang, Peng and Ye, Jianglong and Long, Mai and Li, Kejie and Yang, Xiao",
        "MVDream: Multi-view Diffusion for 3D Generation",
        2023,
        "2308.16512",
    ),
    arxiv(
        "jsd",
        "Jiang, Chenhan and others",
        "JointDreamer: Ensuring Geometry Consistency and Text Congruence in Text-to-3D Generation via Joint Score "
        "Distillation",
        2024,
        "2407.12291",
    ),
    arxiv("dds", "Hertz, Amir and Aberman, Kfir and Cohen-Or, Daniel", "Delta Denoising Score", 2023, "2304.07090"),
    arxiv("pds", "Koo, Juil and Park, Chanho and Sung, Minhyuk", "Posterior Distillation Sampling", 2023, "2311.13831"),
    arxiv(
        "perp-neg",
        "Armandpour, Mohammadreza and others",
        "Re-imagine the Negative Prompt Algorithm: Transform 2D Diffusion into 3D, alleviate Janus problem and Beyond",
        2023,
        "2304.04968",
    ),
)
